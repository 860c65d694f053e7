package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestSplitDocuments(t *testing.T) {
	t.Parallel()
	type doc struct {
		Line int
		Text string
	}
	tests := []struct {
		name, in string
		want     []doc
	}{
		{"empty", "", nil},
		{"only comments and separators", "# a\n---\n\n  # b\n---\n", nil},
		{"one without separator", "a: 1\n", []doc{{1, "a: 1\n"}}},
		{"two", "a: 1\n---\nb: 2\n", []doc{{1, "a: 1\n"}, {3, "b: 2\n"}}},
		{"leading separator and comment", "---\n# about\na: 1", []doc{{3, "a: 1"}}},
		{"end marker", "a: 1\n...\n# rest\n---\nb: 2\n", []doc{{1, "a: 1\n"}, {5, "b: 2\n"}}},
		{"byte order mark", "\xef\xbb\xbfa: 1\n", []doc{{1, "a: 1\n"}}},
		{"carriage returns", "a: 1\r\n---\r\nb: 2\r\n", []doc{{1, "a: 1\r\n"}, {3, "b: 2\r\n"}}},
		{"content on the separator's line", "a: 1\n--- {b: 2}\n---   # c\nd: 4", []doc{{1, "a: 1\n"}, {2, " {b: 2}\n"}, {4, "d: 4"}}},
		{"a separator ends a block scalar", "a: |\n  x\n  ---\n---\nb: 2\n", []doc{{1, "a: |\n  x\n  ---\n"}, {5, "b: 2\n"}}},
		{"longer rules are content", "a: |\n  x\n# ----\n----\n", []doc{{1, "a: |\n  x\n# ----\n----\n"}}},
		{"directives", "%YAML 1.2\n---\na: 1\n", []doc{{3, "a: 1\n"}}},
		{"one JSON object stays whole", "{\"a\": 1}\n", []doc{{1, "{\"a\": 1}\n"}}},
		{"stream of JSON", "{\"a\": 1}\n\n{\n \"b\": 2}{\"c\": 3}\n", []doc{{1, `{"a": 1}`}, {3, "{\n \"b\": 2}"}, {4, `{"c": 3}`}}},
		{"JSON that breaks", "{\"a\": 1}\n{\"b\": ", []doc{{1, `{"a": 1}`}, {1, "\n{\"b\": "}}},
		{"YAML in braces", "{a: 1}\n", []doc{{1, "{a: 1}\n"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []doc
			for _, d := range SplitDocuments([]byte(tt.in)) {
				got = append(got, doc{d.Line, string(d.Text)})
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// FuzzSplitDocuments holds that a document's text stands where its line says.
func FuzzSplitDocuments(f *testing.F) {
	for _, seed := range []string{"a: 1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}", "--- x\n...\n--- |\n y\n", "\xef\xbb\xbf---\r\n#\r\na: 1", "%YAML 1.1\n---\na: |\n  b\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		lines := bytes.SplitAfter(rest, []byte("\n"))
		for _, d := range SplitDocuments(data) {
			if d.Line < 1 || d.Line > len(lines) {
				t.Fatalf("line %d of %d", d.Line, len(lines))
			}
			if len(d.Text) == 0 {
				t.Fatal("empty document")
			}
			first, _, _ := bytes.Cut(d.Text, []byte("\n"))
			if !bytes.Contains(lines[d.Line-1], first) {
				t.Fatalf("line %d is %q, the document begins with %q", d.Line, lines[d.Line-1], first)
			}
		}
	})
}

func BenchmarkSplitDocuments(b *testing.B) {
	data := []byte(strings.Repeat("---\n"+virtualService, 1000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if got := len(SplitDocuments(data)); got != 1000 {
			b.Fatal(got)
		}
	}
}
