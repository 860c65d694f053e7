package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	kubeyaml "sigs.k8s.io/yaml"
)

// TestScalarsReadAsKubectlReadsThem compares every kind of word with the library
// that kubectl and the API server use.
func TestScalarsReadAsKubectlReadsThem(t *testing.T) {
	t.Parallel()
	words := `y Y yes Yes YES yEs n N no No NO true True TRUE tRue false False FALSE on On ON off Off OFF ~ null Null NULL nULL
		0 1 -1 +1 12 007 0777 08 0o17 0x1F 0X1f 0b11 -0b1 0b1_1 1_000 _1 1_ 1.5 .5 1. -.5 +.5 1e3 1E+3 -2E-05 12e03 1_0.5 0.0005s 5s
		18446744073709551615 18446744073709551616 9223372036854775807 9223372036854775808 -9223372036854775809 1e20 0.000001
		1.2.3 1.2.3.4 2001-01-01 2001-01-01T00:00:00Z 10:30 1:30 - . .. -- + 0x 0b 1e 1e+ v1 tcp foo none Nan is not timeout "5" '5' "" '' "n"
		/path a-b <<x =  ... .inf1 -.`
	for _, word := range strings.Fields(words) {
		if word == "..." || word == "-" || word == "--" {
			continue
		}
		text := "a: " + word + "\n"
		want, err := kubeyaml.YAMLToJSON([]byte(text))
		if err != nil {
			continue
		}
		root, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if got := AppendJSON(nil, root); !sameJSON(got, want) {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}

// sameJSON compares values; numbers as numbers, however they are spelt.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

func TestParseReadsAsKubectl(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"block and flow":    "a:\n- b: [1, two, {c: d}]\n- |\n  text\n   more\n- >-\n  folded\n  line\ne: {}\n",
		"anchors":           "a: &x {b: 1}\nc: *x\nd: [*x, *x]\n",
		"merge":             "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n",
		"merge of several":  "a: &x {b: 1}\nc: &y {b: 2, d: 4}\ne:\n  <<: [*x, *y]\n  f: 5\n",
		"merge of a merged": "a: &x {b: 1}\nc: &y\n  <<: *x\n  d: 2\ne:\n  <<: *y\n",
		"tags":              "a: !!str 5\nb: !!int \"5\"\nc: !!float 5\nd: !!bool yes\ne: !!str n\n",
		"JSON":              "{\"a\": [1, 2.5, true, null, \"x\\ty\"], \"b\": {}}",
		"JSON with tabs":    "{\n\t\"a\":\t1\n}\n",
		"unicode":           "a: \"\\u00e9 \\u2028\"\nb: é\n",
		"multi-line key":    "? a\n: b\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := kubeyaml.YAMLToJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			root, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := AppendJSON(nil, root); !sameJSON(got, want) {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestParseJSONKnowsItsLines(t *testing.T) {
	t.Parallel()
	root, err := Parse([]byte("{\n \"a\": {\n\n  \"b\": [1,\n   \"\\ud83d\\ude00\"]}}"))
	if err != nil {
		t.Fatal(err)
	}
	list := Field(Field(root, "a"), "b")
	if list.Line != 4 || list.Content[1].Line != 5 || list.Content[1].Value != "\U0001F600" {
		t.Errorf("got lines %d and %d, %q", list.Line, list.Content[1].Line, list.Content[1].Value)
	}
}

func TestParseRefusesTwoDocuments(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte("a: 1\n---\nb: 2\n"))
	if err == nil || !strings.Contains(err.Error(), "a second document") {
		t.Errorf("got %v", err)
	}
}

func TestScalarKinds(t *testing.T) {
	t.Parallel()
	root, err := Parse([]byte("[a, '5', 5, yes, ~, !!int '0x10', !!bool n, !!null x, !!str 5, !foo 5, !!float 1, .inf]"))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ kind, text string }{
		{"a string", "a"}, {"a string", "5"}, {"a number", "5"}, {"a boolean", "true"}, {"null", ""}, {"a number", "16"},
		{"a boolean", "false"}, {"a string", "x"}, {"a string", "5"}, {"a string", "5"}, {"a number", "1"}, {"a string", ".inf"},
	}
	for i, n := range root.Content {
		kind, text := Scalar(n)
		if kind.String() != want[i].kind || text != want[i].text {
			t.Errorf("%d: got %v %q, want %v", i, kind, text, want[i])
		}
	}
}

func TestErrorsKnowTheirLine(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		"a: 1\n b: 2\n": 2, "a: [1,\n2\n": 3, "a:\n- b\n c: d\n": 3, "a: \"b\nc": 2, "a: 'b\n": 2, "a: b\n\x01\n": 2, "a: b\n\nc: \xff\n": 3, "a: &b\n  c: *d\n": 2, "a: {b: c\nd: e}\n": 2,
	} {
		_, err := Parse([]byte(text))
		e, ok := err.(*Error)
		if !ok || e.Line != line {
			t.Errorf("%q: got %v, want line %d", text, err, line)
		}
		if ok && !strings.Contains(e.Error(), e.Message) {
			t.Errorf("got %q", e.Error())
		}
	}
}

func TestAppendJSONEscapes(t *testing.T) {
	t.Parallel()
	root, err := Parse([]byte("\"a\\\"\": \"\\u0001\\\\\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(AppendJSON(nil, root)), `{"a\"":"\u0001\\"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzParse holds that nothing panics, and that what was read can be written as JSON
// and reads back the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: &x {b: 1}\nc: *x\n", "a:\n  <<: {b: c}\n", "{\"a\": [1, true, null]}", "- n\n- 0x10\n- 1_0\n", "a: |\n  b\nc: >\n  d\n", "? a\n: b\n", "a: !!str 5\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := Parse(text)
		if err != nil || root == nil {
			return
		}
		got := AppendJSON(nil, root)
		if !json.Valid(got) {
			t.Fatalf("not JSON: %s", got)
		}
		again, err := Parse(got)
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if round := AppendJSON(nil, again); string(round) != string(got) {
			t.Fatalf("%s reads back as %s", got, round)
		}
	})
}
