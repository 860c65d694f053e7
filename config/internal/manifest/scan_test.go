package manifest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// differ returns in what two trees differ, "" where in nothing that anybody here looks at.
func differ(a, b *yaml.Node) string {
	at := fmt.Sprintf("%d:%d %q", b.Line, b.Column, b.Value)
	switch {
	case a.Kind != b.Kind:
		return fmt.Sprintf("%s: kind %d, want %d", at, a.Kind, b.Kind)
	case a.Style != b.Style:
		return fmt.Sprintf("%s: style %d, want %d", at, a.Style, b.Style)
	case a.Value != b.Value:
		return fmt.Sprintf("%s: got %q", at, a.Value)
	case a.Line != b.Line || a.Column != b.Column:
		return fmt.Sprintf("%s: at %d:%d", at, a.Line, a.Column)
	case a.Anchor != b.Anchor:
		return fmt.Sprintf("%s: anchor %q, want %q", at, a.Anchor, b.Anchor)
	case (a.Tag == "") != (b.Tag == "") && a.Kind != yaml.ScalarNode:
		return fmt.Sprintf("%s: tag %q, want %q", at, a.Tag, b.Tag)
	case len(a.Content) != len(b.Content):
		return fmt.Sprintf("%s: %d children, want %d", at, len(a.Content), len(b.Content))
	}
	for i := range a.Content {
		if d := differ(a.Content[i], b.Content[i]); d != "" {
			return d
		}
	}
	return ""
}

// sameAsLibrary holds that what the scanner takes, the YAML library takes too, and makes the
// same of it. It returns whether the scanner takes it.
func sameAsLibrary(t *testing.T, text []byte) bool {
	t.Helper()
	got, ok := new(nodes).scan(string(text))
	if !ok {
		return false
	}
	want, err := parseYAML(text)
	if err != nil || want == nil {
		t.Errorf("scanned, and the library says %v of\n%s", err, text)
		return true
	}
	if d := differ(got, want); d != "" {
		t.Errorf("%s in\n%s", d, text)
	}
	return true
}

var scanned = []string{
	"a: 1\n", "a: 1", "a: 1\r\nb: 2\r\n", "a:\n", "a:", "a: # nothing\nb:\n  # more\n\n  c: d\n", "a :  b  \n",
	"a:\n- b\n-\n- c: d\n  e: f\n-   - g\n    - h\nz: 1\n", "a:\n  - b\n  -\n  - # x\n    c: d\n", "- a\n- b: c\n", "a:\n  b\n", "a:\n  - b:\n    - c\n",
	"a: [1, two, {c: d}, [ ], {}, 'x', \"y\",]\n", "{a: {b: [c]}, \"d\":e, 'f': g,}\n", "a: [\n  b, # c\n  d\n\n  ]\nb: {x: /p}\n",
	"a: \"\\\"\\n\\t\\\\\\r\"\nb: 'it''s'\n", "a: http://x:80/#y z\n", "a: -1\nb: --flag=x\nc: [-1, -x]\n", "\"a b\": c\n'd': e\n",
	"a: |\n  b\n\n   c\n  d\n\ne: |-\n  f\ng: |+\n  h\n\n\ni:\n- |\n  j\n-  k: |\n     l\n", "a: |\n\n  b\n  ", "a: |\n  b", "a: |\r\n  b\r\n  c\r\n",
	"é: ü # ö\nb: {é: \"ü\", c: d}\n", "a: b#c\nd: e #f\n# g\n", "  a: b\n  c: d\n", "a: on\nb: ~\nc: 0x10\nd: null\n", "a: b c  d\n", "a:\n  {b: c}\n", "a:\n  |\n  b\n",
	"a: {b: c\n, d: e}\n", "a: {b:\n  c}\n", "a: =\nb: \\d+\n",
}

// left are texts that the scanner leaves to the library, in order or not.
var left = []string{
	"", "\n", "# a\n", "a", "a\nb", "'a'", "a: &x b\nc: *x\n", "a: !!str 5\n", "<<: {a: b}\n", "a: b\n  c\n", "a: b: c\n", "a: 'b\n  c'\n", "a: \"b\n  c\"\n", "a: >\n  b\n", "a: |2\n   b\n",
	"a: b\n\tc: d\n", "a:\tb\n", "a: b\t# c\n", "--- a\n", "a: b\n---\nc: d\n", "a: b\n...\n", "%YAML 1.1\n---\na: b\n", "? a\n: b\n", "a: b\na: c\n", "{a: b, a: c}\n",
	"a:\n  b: c\n d: e\n", "a:\n- b\n c: d\n", "[a: b]\n", "{a, b}\n", "{a: }\n", "{a: b}: c\n", "a: [b\n", "a: [b]]\n", "a: [b] c\n", "a: \"b\" c\n", "a: \"\\x41\"\n", "a: @b\n", "a: `b\n", "a: %b\n",
	"\ufeffa: b\n", "a: \x01\n", "a: \xff\n", "a: b\rc: d\n", "a: b\u2028c: d\n", "a: \"b\"#c\n", "[a,#c\nb]\n", "[a\nb]\n", "- a\nb: c\n", "a: b\n- c\n", "a: - b\n", "a:\n    b: c\n  d: e\n",
	strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat("k", 1100) + ": v\n", "a: |\n    \n  b\n", "a: |\nb: c\n", "a: |\n  b\n\t\n", "a: |x\n  b\n",
}

func TestScanReadsAsTheLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range scanned {
		if !sameAsLibrary(t, []byte(text)) {
			t.Errorf("left to the library: %q", text)
		}
	}
	for _, text := range left {
		if _, ok := new(nodes).scan(text); ok {
			t.Errorf("not left to the library: %q", text)
		}
	}
}

// TestScanReadsOurManifests holds the scanner to every manifest of the repository, and that it
// takes most of them.
func TestScanReadsOurManifests(t *testing.T) {
	t.Parallel()
	total, taken := 0, 0
	err := filepath.WalkDir("../../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".yaml", ".yml", ".txtar":
		default:
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil // Somebody else's test may have removed it.
		}
		for _, document := range bytes.Split(data, []byte("\n---")) {
			for _, part := range bytes.Split(document, []byte("\n-- ")) {
				if _, rest, ok := bytes.Cut(part, []byte(" --\n")); ok {
					part = rest
				}
				total++
				if sameAsLibrary(t, part) {
					taken++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d of %d", taken, total); taken < total/2 {
		t.Errorf("only %d of %d documents are scanned", taken, total)
	}
}

// TestReleasedNodesAreUsedAgain holds that a tree is whole until it is released, and that
// reading the next costs next to nothing.
func TestReleasedNodesAreUsedAgain(t *testing.T) {
	text := []byte("a: [1, two, {c: d}]\ne:\n- f: g\n" + strings.Repeat("- h: i\n", 500))
	for range 3 {
		tree, err := ParseBriefly(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := parseYAML(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(tree.Root, want); d != "" {
			t.Fatal(d)
		}
		tree.Release()
	}
	a := new(nodes)
	a.scan(string(text))
	a.reset()
	a.scan(string(text))
	a.reset()
	if n := testing.AllocsPerRun(10, func() {
		a.scan(string(text))
		a.reset()
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
	Tree{}.Release()
}

// FuzzScan holds the scanner to the YAML library.
func FuzzScan(f *testing.F) {
	for _, text := range append(append([]string{}, scanned...), left...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsLibrary(t, text) })
}

const benchText = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: host-003300, namespace: default}
spec:
  hosts: [host-003300.example]
  gateways: [default/entry]
  http:
  - match: [{uri: {prefix: /p0/}}]
    rewrite: {uri: /q0/}
    route: [{destination: {host: backend.test}}]
  - match:
    - uri:
        prefix: "/p1/"
    rewrite:
      uri: /q1/
    route:
    - destination:
        host: backend.test
`

// BenchmarkParse reads one document an iteration: as it is, and with a comment in it that only
// the library reads.
func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{"scanner": benchText, "library": benchText + "  x: &a b\n"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tree, err := ParseBriefly([]byte(text))
				if err != nil {
					b.Fatal(err)
				}
				tree.Release()
			}
		})
	}
}
