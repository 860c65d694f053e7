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
