package accesslog

import (
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxValue)
	for _, c := range []struct {
		in     string
		quoted bool
		want   string
	}{
		{"", true, ""},
		{"plain", true, "plain"},
		{"two words", true, "two words"},
		{"two words", false, `two\x20words`},
		{"a\nb", true, `a\x0Ab`},
		{`"\`, true, `\x22\x5C`},
		{"é", true, `\xC3\xA9`},
		{long, true, long},
		{long + "y", true, long + "..."},
	} {
		if got := string(escape([]byte("\" "+c.in), 2, c.quoted))[2:]; got != c.want {
			t.Errorf("escape(%.20q, %t) = %.40q, want %.40q", c.in, c.quoted, got, c.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a b", "\r\n", `"`, `\x0A`, "\xff"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, quoted bool) {
		got := escape([]byte(s), 0, quoted)
		for i, c := range got {
			if c < 0x20 || c > 0x7e || c == '"' || c == ' ' && !quoted {
				t.Fatalf("byte %#x at %d of %q", c, i, got)
			}
			if c == '\\' && (i+3 >= len(got) || got[i+1] != 'x') {
				t.Fatalf("a backslash that begins no escape at %d of %q", i, got)
			}
		}
	})
}

// FuzzVerbatim holds what is looked at in words to what is escaped byte by byte.
func FuzzVerbatim(f *testing.F) {
	for _, s := range []string{"", "a", "GET", "abcd", "a b", "1234567", "12345678", "123456789 abcdefgh", "\x1f", "\x7f", "12345678\x80", `1234567"`, `\234567`, strings.Repeat("x", maxValue+1)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, quoted bool) {
		want := len(s) <= maxValue
		for _, c := range []byte(s) {
			want = want && (verbatim[c] || c == ' ' && quoted)
		}
		for _, spare := range []int{0, 100} {
			dst := append(make([]byte, 0, 2+spare), "> "...)
			got, ok := appendVerbatim(dst, s, quoted)
			if ok != want || isVerbatim([]byte(s), quoted) != want || ok && string(got) != "> "+s || !ok && string(got) != "> " {
				t.Fatalf("%q, quoted %t: %q, %t, want %t", s, quoted, got, ok, want)
			}
		}
	})
}
