package jsonscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

// flatten writes down what a value consists of.
func flatten(s *Scan, out *bytes.Buffer, path string) bool {
	switch s.Space() {
	case '{':
		return s.Object(func(name []byte) bool { return flatten(s, out, fmt.Sprintf("%s.%s", path, name)) })
	case '[':
		i := 0
		return s.List(func() bool {
			i++
			return flatten(s, out, fmt.Sprintf("%s[%d]", path, i-1))
		})
	}
	value, ok := s.Value()
	fmt.Fprintf(out, "%s=%s ", path, value)
	return ok
}

func TestScan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a":1,"b":{"c":[true,null,"]}\\"],"d":{}},"e":[]}`: `.a=1 .b.c[0]=true .b.c[1]=null .b.c[2]="]}\\" `,
		" [ 1.5e3 ,\n\t\"\\\"\" , [ ] ] ":                    `[0]=1.5e3 [1]="\"" `,
		`"a"`:                                                `="a" `,
		`12`:                                                 `=12 `,
	} {
		var out bytes.Buffer
		if s := (Scan{Text: []byte(text)}); !flatten(&s, &out, "") || out.String() != want || s.Space() != 0 {
			t.Errorf("%s: got %s", text, &out)
		}
		whole := Scan{Text: []byte(text)}
		if value, ok := whole.Value(); !ok || !bytes.Equal(value, bytes.TrimSpace([]byte(text))) {
			t.Errorf("%s: the value is %q", text, value)
		}
	}
	for _, text := range []string{"", " ", "{", "[", `"a`, `"a\"`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `[1`, `[1,`, `[1,]`, `[,]`, `[1 2]`, "}", ":"} {
		var out bytes.Buffer
		if s := (Scan{Text: []byte(text)}); flatten(&s, &out, "") {
			t.Errorf("%s: got %s", text, &out)
		}
	}
}

// FuzzScan: nothing panics, and all of valid JSON can be walked through.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\\\"",{"b":null}],"":{}}`))
	f.Add([]byte(`[[],{},"x"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var out bytes.Buffer
		s := Scan{Text: text}
		if ok := flatten(&s, &out, ""); !ok && json.Valid(text) || ok && s.At > len(text) {
			t.Errorf("%q: %v after %s", text, ok, &out)
		}
	})
}
