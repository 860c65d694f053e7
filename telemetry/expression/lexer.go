package expression

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is one of the text: kind is "int", "uint", "double", "string", "bytes", "ident", "end",
// or the operator itself.
type token struct {
	kind string
	pos  int
	text string // as written; of an "ident" its name
	v    value  // of literals
}

// operators are those that the language has, the longer of two first.
var operators = [...]string{"&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "<", ">", "+", "-", "*", "/", "%", "!"}

// lexer cuts a text into tokens.
type lexer struct {
	text string
	pos  int
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	l.skip()
	t := token{pos: l.pos, kind: "end"}
	if l.pos == len(l.text) {
		return t, nil
	}
	rest := l.text[l.pos:]
	c := rest[0]
	switch {
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return l.number()
	case c == '"' || c == '\'':
		return l.quoted(0)
	case isLetter(c):
		if n := quotePrefix(rest); n > 0 {
			return l.quoted(n)
		}
		n := 1
		for n < len(rest) && (isLetter(rest[n]) || isDigit(rest[n])) {
			n++
		}
		t.kind, t.text = "ident", rest[:n]
		l.pos += n
		return t, nil
	}
	for _, o := range operators {
		if strings.HasPrefix(rest, o) {
			t.kind, t.text = o, o
			l.pos += len(o)
			return t, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return t, l.fail(l.pos, "%q means nothing here%s", r, hint(r))
}

// hint says what somebody may have meant by a character.
func hint(r rune) string {
	switch r {
	case '=':
		return "; equality is =="
	case '&':
		return "; and is &&"
	case '|':
		return "; or is ||"
	case '`', '“', '”', '‘', '’':
		return "; strings stand in ' or \""
	}
	return ""
}

// skip passes over spaces and comments.
func (l *lexer) skip() {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			l.pos++
		case strings.HasPrefix(l.text[l.pos:], "//"):
			end := strings.IndexByte(l.text[l.pos:], '\n')
			if end < 0 {
				l.pos = len(l.text)
				return
			}
			l.pos += end
		default:
			return
		}
	}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// number reads a literal of int, uint or double.
func (l *lexer) number() (token, error) {
	t := token{pos: l.pos, kind: "int"}
	rest := l.text[l.pos:]
	n := 0
	digits := func(in string) {
		for n < len(rest) && strings.IndexByte(in, rest[n]) >= 0 {
			n++
		}
	}
	const decimal, hexadecimal = "0123456789", "0123456789abcdefABCDEF"
	hex := len(rest) > 2 && rest[0] == '0' && rest[1] == 'x' && strings.IndexByte(hexadecimal, rest[2]) >= 0
	if hex {
		n = 2
		digits(hexadecimal)
	} else {
		digits(decimal)
		if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
			t.kind = "double"
			n++
			digits(decimal)
		}
		if exponent := exponentAt(rest[n:]); exponent > 0 {
			t.kind = "double"
			n += exponent
			digits(decimal)
		}
	}
	t.text = rest[:n]
	if t.kind == "int" && n < len(rest) && (rest[n] == 'u' || rest[n] == 'U') {
		t.kind = "uint"
		n++
	}
	l.pos += n
	if l.pos < len(l.text) && (isLetter(l.text[l.pos]) || isDigit(l.text[l.pos])) {
		return t, l.fail(t.pos, "a number ends in %q", l.text[l.pos])
	}
	return t, nil
}

// exponentAt returns the length of the beginning of an exponent up to its first digit; 0 where
// there is none.
func exponentAt(s string) int {
	if s == "" || s[0]|0x20 != 'e' {
		return 0
	}
	n := 1
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		n++
	}
	if n < len(s) && isDigit(s[n]) {
		return n
	}
	return 0
}

// parseNumber returns a literal's value; sign is "-" or empty.
func (t token) parseNumber(sign string) (value, error) {
	base, text := 10, t.text
	if strings.HasPrefix(text, "0x") {
		base, text = 16, text[2:]
	}
	switch t.kind {
	case "int":
		n, err := strconv.ParseInt(sign+text, base, 64)
		return intValue(n), err
	case "uint":
		n, err := strconv.ParseUint(sign+text, base, 64)
		return uintValue(n), err
	}
	f, err := strconv.ParseFloat(sign+text, 64)
	return doubleValue(f), err
}

// Error is a defect of an expression.
type Error struct {
	// Line and Column say where in the text, from 1 up; Column counts characters.
	Line, Column int
	// Reason says what is wrong there, and the way out.
	Reason string
}

// Error returns "column 10: ...", with the line where the text has several.
func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Reason)
}

// fail returns the error of a place.
func (l *lexer) fail(pos int, format string, args ...any) error {
	before := l.text[:min(pos, len(l.text))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &Error{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(line) + 1, Reason: fmt.Sprintf(format, args...)}
}
