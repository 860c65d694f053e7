package expression

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quotePrefix returns the length of what stands before the quote of a literal that is raw, of
// bytes, or both; 0 where no such literal begins.
func quotePrefix(s string) int {
	for n := 1; n <= 2 && n < len(s); n++ {
		if s[n] == '"' || s[n] == '\'' {
			switch strings.ToLower(s[:n]) {
			case "r", "b", "br":
				return n
			}
			return 0
		}
	}
	return 0
}

// quoted reads a literal of string or bytes, whose prefix has that length.
func (l *lexer) quoted(prefix int) (token, error) {
	t := token{pos: l.pos, kind: "string"}
	before := strings.ToLower(l.text[l.pos : l.pos+prefix])
	raw, bytes := strings.Contains(before, "r"), strings.Contains(before, "b")
	rest := l.text[l.pos+prefix:]
	quote := rest[:1]
	if strings.HasPrefix(rest, strings.Repeat(quote, 3)) {
		quote = rest[:3]
	}
	var out []byte
	at := len(quote)
	for {
		switch {
		case at >= len(rest), len(quote) == 1 && (rest[at] == '\n' || rest[at] == '\r'):
			return t, l.fail(t.pos, "a string has no end: %s is missing", quote)
		case strings.HasPrefix(rest[at:], quote):
			l.pos += prefix + at + len(quote)
			t.text = l.text[t.pos:l.pos]
			if t.v = stringValue(string(out)); bytes {
				t.kind, t.v = "bytes", bytesValue(string(out))
			} else if !utf8.Valid(out) {
				return t, l.fail(t.pos, "a string is not UTF-8; write b'...' for bytes")
			}
			return t, nil
		case rest[at] == '\\' && !raw:
			b, n, ok := unescape(rest[at:], bytes)
			if !ok {
				return t, l.fail(l.pos+prefix+at, `a backslash begins no escape here; write \\ for itself, or a raw string, r'...'`)
			}
			out = append(out, b...)
			at += n
		default:
			out = append(out, rest[at])
			at++
		}
	}
}

// unescape reads an escape at the beginning of s, and returns what it stands for and its
// length.
func unescape(s string, bytes bool) (out string, n int, ok bool) {
	if len(s) < 2 {
		return "", 0, false
	}
	const plain, meant = "abfnrtv\\'\"`?", "\a\b\f\n\r\t\v\\'\"`?"
	if i := strings.IndexByte(plain, s[1]); i >= 0 {
		return meant[i : i+1], 2, true
	}
	digits, base, from := 0, 16, 2
	switch s[1] {
	case 'x', 'X':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '0', '1', '2', '3':
		digits, base, from = 3, 8, 1
	}
	if digits == 0 || bytes && digits > 3 || len(s) < from+digits {
		return "", 0, false
	}
	code, err := strconv.ParseUint(s[from:from+digits], base, 32)
	if err != nil || s[from] == '+' {
		return "", 0, false
	}
	if bytes {
		return string([]byte{byte(code)}), from + digits, true
	}
	if r := rune(code); code <= utf8.MaxRune && utf8.ValidRune(r) {
		return string(r), from + digits, true
	}
	return "", 0, false
}
