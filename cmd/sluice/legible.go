package main

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// legibleWriter writes text for people to a terminal or a file. What it is made of has been
// written by others, configuration and requests: what a terminal would take for commands, or
// would turn the text around, is escaped.
type legibleWriter struct {
	io.Writer
	// painted: the inks of painters are let through.
	painted bool
}

// legible returns a writer of text for people to w.
func legible(w io.Writer) legibleWriter { return legibleWriter{w, newPainter(w).on} }

var inkSequence = regexp.MustCompile(`^\x1b\[[0-9;]*m`)

// Write writes lines, of which each is whole.
func (l legibleWriter) Write(p []byte) (int, error) {
	var b strings.Builder
	for rest := string(p); rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return r == '\n' || r == '\x1b' })
		if n < 0 {
			n = len(rest)
		}
		b.WriteString(visible(rest[:n]))
		rest = rest[n:]
		switch sequence := inkSequence.FindString(rest); {
		case rest == "":
		case l.painted && sequence != "":
			b.WriteString(sequence)
			rest = rest[len(sequence):]
		case rest[0] == '\n':
			b.WriteByte('\n')
			rest = rest[1:]
		default:
			b.WriteString(visible(rest[:1]))
			rest = rest[1:]
		}
	}
	if _, err := io.WriteString(l.Writer, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// visible returns a text in which control characters, line breaks among them, are escaped.
func visible(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		if part := s[i : i+n]; !hidden(r) {
			b.WriteString(part)
		} else {
			quoted := strconv.QuoteToASCII(part)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// hidden tells of characters that are not shown as such: controls, those that turn text around,
// and what is no UTF-8.
func hidden(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Bidi_Control)
}
