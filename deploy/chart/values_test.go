package chart

import (
	"encoding/json"
	"testing"
)

func TestParseSet(t *testing.T) {
	t.Parallel()
	with := map[string]any{"a": map[string]any{"x": int64(1)}, "l": []any{map[string]any{"p": int64(80)}}}
	for text, want := range map[string]string{
		"b=c":                `{"a":{"x":1},"b":"c","l":[{"p":80}]}`,
		"a.y=2":              `{"a":{"x":1,"y":2},"l":[{"p":80}]}`,
		"a=null":             `{"a":null,"l":[{"p":80}]}`,
		"l[0].n=true":        `{"a":{"x":1},"l":[{"n":true,"p":80}]}`,
		"l[1].p=81":          `{"a":{"x":1},"l":[{"p":80},{"p":81}]}`,
		"l={a,2},a=x":        `{"a":"x","l":["a",2]}`,
		"l={}":               `{"a":{"x":1},"l":[]}`,
		`a.b\.c/d=e\,f`:      `{"a":{"b.c/d":"e,f","x":1},"l":[{"p":80}]}`,
		"a.x=007":            `{"a":{"x":"007"},"l":[{"p":80}]}`,
		"a.x=env=prod":       `{"a":{"x":"env=prod"},"l":[{"p":80}]}`,
		"a.x=":               `{"a":{"x":""},"l":[{"p":80}]}`,
		"a":                  "",
		"=b":                 "",
		"a..b=c":             "",
		"l.x=1":              "",
		"a[0]=1":             "",
		"l[x]=1":             "",
		"l[-1]=1":            "",
		"l[99999999999]=1":   "",
		"l[0]x=1":            "",
		"l[100000].a=1":      "",
		"a.x.y=1":            "",
		"l[0=1":              "",
		"l[0].p[0].q[1].r=1": "",
	} {
		got, err := ParseSet(text, with)
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if out, _ := json.Marshal(got); string(out) != want {
			t.Errorf("%s: got %s, want %s", text, out, want)
		}
	}
}

// FuzzParseSet: whatever is typed makes values or an error, and changes nothing that was there.
func FuzzParseSet(f *testing.F) {
	for _, s := range []string{"a=b", "a.b[0].c={x,y}", `a\.b=\,`, "a[", "{=}", "a[0][1]=2", "l[0].p=1,l[1]=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		with := map[string]any{"a": map[string]any{"x": int64(1)}, "l": []any{map[string]any{"p": int64(80)}}}
		before, _ := json.Marshal(with)
		got, err := ParseSet(text, with)
		if after, _ := json.Marshal(with); string(after) != string(before) {
			t.Fatalf("%q changes what it begins with: %s", text, after)
		}
		if err == nil && got == nil {
			t.Fatalf("%q makes nothing", text)
		}
	})
}
