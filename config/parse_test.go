package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

const virtualService = `apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews-1
  namespace: bookinfo
  labels:
    app: reviews
spec:
  hosts:
  - reviews-1.example.com
  gateways:
  - istio-system/gw
  http:
  - match:
    - uri:
        prefix: /api/v1
      headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: reviews
        subset: v2
        port:
          number: 9080
    timeout: 5s
  - route:
    - destination:
        host: reviews
        subset: v1
`

// parseFile runs both steps over a whole file.
func parseFile(data string) ([]*Object, []Condition) {
	var objects []*Object
	var conditions []Condition
	for _, d := range SplitDocuments([]byte(data)) {
		o, c := ParseObjects(d, "f.yaml")
		objects = append(objects, o...)
		conditions = append(conditions, c...)
	}
	return objects, conditions
}

func TestParseObject(t *testing.T) {
	t.Parallel()
	objects, conditions := parseFile(`
# a comment
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: gw
  namespace: istio-system
  creationTimestamp: "2024-03-01T10:00:00Z"
  labels: {a: b, "1": "2"}
  annotations:
    note: |
      two
      lines
---
apiVersion: v1
kind: Service
metadata:
  name: web
  creationTimestamp: null
  labels:
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, namespace: nowhere}
`)
	if len(conditions) > 0 {
		t.Fatal(conditions)
	}
	want := []*Object{
		{
			Key: Key{"networking.istio.io", "Gateway", "istio-system", "gw"}, Version: "v1", Line: 4, File: "f.yaml",
			Labels: map[string]string{"a": "b", "1": "2"}, Annotations: map[string]string{"note": "two\nlines\n"},
			Created: At(time.Date(2024, 3, 1, 10, 0, 0, 0, time.UTC)),
		},
		{Key: Key{"", "Service", "default", "web"}, Version: "v1", Line: 16, File: "f.yaml"},
		{Key: Key{"", "Namespace", "", "shop"}, Version: "v1", Line: 23, File: "f.yaml"},
	}
	for _, o := range objects {
		if !strings.HasPrefix(string(o.Text()), "apiVersion: ") {
			t.Errorf("%v: manifest %q", o.Key, o.Text())
		}
		o.Source = nil
	}
	if !reflect.DeepEqual(objects, want) {
		t.Errorf("got %+v", objects)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	object := func(metadata string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: " + metadata + "\n"
	}
	tests := []struct {
		name, in string
		// want is a part of the condition's text.
		want string
		line int
	}{
		{"bad indentation", "a: 1\n b: 2\n", "not YAML", 2},
		{"unclosed list", "a: [1\nb: 2\n", "not YAML", 2},
		{"tab", "a:\n\tb: 1\n", "not YAML", 2},
		{"unknown anchor", "a: 1\nb: *c\n", "unknown anchor", 2},
		{"duplicate key", "apiVersion: v1\nkind: Service\nkind: Pod\n", `"kind" is here twice (first on line 2)`, 3},
		{"duplicate key, many", "a1: 1\na2: 1\na3: 1\na4: 1\na5: 1\na6: 1\na7: 1\na8: 1\na9: 1\nb1: 1\nb2: 1\nb3: 1\nb4: 1\nb5: 1\nb6: 1\nb7: 1\nb8: 1\nb9: 1\na1: 2\n", "twice", 19},
		{"duplicate key, JSON", "{\n\"kind\": \"a\",\n\"kind\": \"b\"}", "twice", 3},
		{"a word", "hello\n", "not an object", 1},
		{"a list", "- a\n", "not an object", 1},
		{"broken JSON", "{\"a\":\n", "not YAML", 2},
		{"no apiVersion", "kind: Service\nmetadata: {name: a}\n", "f.yaml:1: Object a: apiVersion: missing", 1},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", "kind: missing", 1},
		{"kind is a number", "apiVersion: v1\nkind: 5\n", "kind: must be a word", 2},
		{"no metadata", "apiVersion: v1\nkind: Service\n", "Service : metadata: missing", 1},
		{"no name", object("{namespace: a}"), "metadata.name: missing: give", 3},
		{"generateName", object("{generateName: a-}"), "generateName works at an API server only", 3},
		{"name is a number", object("{name: 5}"), `must be a string, and 5 is a number: write "5"`, 3},
		{"name is YAML 1.1's no", object("{name: n}"), `n is a boolean: write "n"`, 3},
		{"name with a slash", object("{name: a/b}"), "no name of an object", 3},
		{"label is a number", object("\n  name: a\n  labels:\n    version: 1.0"), `metadata.labels[version]: must be a string, and 1.0 is a number: write "1.0"`, 6},
		{"labels are a list", object("{name: a, labels: [b]}"), "metadata.labels: must map names to strings", 3},
		{"bad time", object("{name: a, creationTimestamp: yesterday}"), "RFC 3339", 3},
		{"alias to itself", "a: &a\n  b: *a\n", "contains itself", 2},
		{"merging a word", "a:\n  <<: b\n", `"<<" takes a mapping`, 2},
		{"key is a mapping", "{a: b}: c\n", "a key must be a single word", 1},
		{"list of words", "apiVersion: v1\nkind: List\nitems:\n- a\n", "not an object", 4},
		{"items is a word", "apiVersion: v1\nkind: List\nitems: a\n", "items: must be a list", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			objects, conditions := parseFile(tt.in)
			if len(objects) > 0 {
				t.Errorf("objects: %v", objects)
			}
			if len(conditions) != 1 {
				t.Fatalf("got %v, want one condition", conditions)
			}
			c := conditions[0]
			if c.Severity != Error || c.File != "f.yaml" || c.Line != tt.line || !strings.Contains(c.String(), tt.want) {
				t.Errorf("got %s (%+v)\nwant line %d with %q", c, c, tt.line, tt.want)
			}
		})
	}
}

func TestParseRefusesAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		refs := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", ")
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, refs)
	}
	start := time.Now()
	objects, conditions := parseFile(b.String())
	if len(objects) != 0 || len(conditions) != 1 || !strings.Contains(conditions[0].Message, "aliases expand to more than") {
		t.Errorf("got %v, %v", objects, conditions)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	const twoItems = `# made by hand
apiVersion: v1
kind: List
metadata:
  resourceVersion: ""
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: a
  spec:
    note: |
      text
- # the second
  apiVersion: v1
  kind: Service
  metadata:
    name: b
# the end
`
	const typed = `apiVersion: networking.istio.io/v1
kind: VirtualServiceList
items:
    -   metadata:
            name: a
    -   metadata: {name: b}
`
	const inJSON = `{"apiVersion": "v1", "kind": "List", "items": [
 {"apiVersion": "v1", "kind": "Service",
  "metadata": {"name": "a"}},
 {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b\ud83d\ude00"}}
]}`
	const anchored = `apiVersion: v1
kind: List
items:
- &base
  apiVersion: v1
  kind: Service
  metadata: &meta {name: a}
- <<: *base
  metadata: {name: b}
- <<: [*base, {kind: Pod, extra: 1}]
  metadata:
    name: c
`
	const nested = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: Service
    metadata: {name: a}
- apiVersion: v1
  kind: Service
  metadata: {name: b}
`
	tests := []struct {
		name, in, want string
	}{
		{"block", twoItems, "Service default/a:7 Service default/b:15"},
		{"typed", typed, "VirtualService default/a:4 VirtualService default/b:6"},
		{"JSON", inJSON, "Service default/a:2 Service default/b\U0001F600:4"},
		{"anchors and merges", anchored, "Service default/a:4 Service default/b:8 Service default/c:10"},
		{"nested", nested, "Service default/a:7 Service default/b:10"},
		{"empty", "apiVersion: v1\nkind: List\nitems: []\n", ""},
		{"null", "apiVersion: v1\nkind: List\nitems:\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			objects, conditions := parseFile(tt.in)
			if len(conditions) > 0 {
				t.Fatal(conditions)
			}
			var got []string
			for _, o := range objects {
				got = append(got, fmt.Sprintf("%s:%d", o.Key, o.Line))
				root, err := manifest.Parse(o.Text())
				if err != nil {
					t.Errorf("%v: its manifest does not parse: %v\n%s", o.Key, err, o.Text())
				}
				if name := manifest.Field(manifest.Field(root, "metadata"), "name"); name == nil || name.Value != o.Name {
					t.Errorf("%v: its manifest is of another object:\n%s", o.Key, o.Text())
				}
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got %q, want %q", g, tt.want)
			}
		})
	}
}

func TestParseListCutsText(t *testing.T) {
	t.Parallel()
	const list = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n  {\"apiVersion\": \"v1\", \"kind\": \"Service\",\n   \"metadata\": {\"name\": \"a\"},\n   \"spec\": {}}]}"
	objects, conditions := parseFile("\n" + list)
	if len(objects) != 1 || len(conditions) > 0 {
		t.Fatalf("got %v, %v", objects, conditions)
	}
	want := "{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n   \"metadata\": {\"name\": \"a\"},\n   \"spec\": {}}"
	if got := string(objects[0].Text()); got != want {
		t.Errorf("got %q", got)
	}
	if line := objects[0].Locate("spec"); line != 5 {
		t.Errorf("spec is on line %d", line)
	}
	objects, _ = parseFile("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: a\n    # about the label\n    labels: {a: b}\n")
	if line := objects[0].Locate("metadata.labels[a]"); line != 9 {
		t.Errorf("the label is on line %d of\n%s", line, objects[0].Text())
	}
}

func TestParseListKeepsGoodItems(t *testing.T) {
	t.Parallel()
	objects, conditions := parseFile("apiVersion: v1\nkind: List\nitems:\n- kind: Service\n- apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n")
	if len(objects) != 1 || objects[0].Name != "b" || len(conditions) != 1 || conditions[0].Line != 4 {
		t.Errorf("got %v, %v", objects, conditions)
	}
}

// FuzzParseObjects holds that nothing panics and that the text of every object, cut
// out of whatever it stood in, reads as that object.
func FuzzParseObjects(f *testing.F) {
	for _, seed := range []string{
		virtualService,
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- &b\n  apiVersion: v1\n  kind: Pod\n  metadata:\n    name: b\nmore: 1\n",
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":"b"}}}]}`,
		"apiVersion: v1\nkind: PodList\nitems:\n  - metadata: &m\n      name: a\n  - metadata: *m\n  - <<: {metadata: {name: c}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := strings.Count(string(data), "\n") + 1
		for _, d := range SplitDocuments(data) {
			objects, conditions := ParseObjects(d, "f")
			for _, o := range objects {
				root, err := manifest.Parse(o.Text())
				if err != nil || root == nil {
					t.Fatalf("%v: %v: %q", o.Key, err, o.Text())
				}
				if name := manifest.Field(manifest.Field(root, "metadata"), "name"); name == nil || name.Value != o.Name {
					t.Fatalf("%v: other object: %q", o.Key, o.Text())
				}
				o.Locate("spec.a[0].b")
			}
			for _, c := range conditions {
				if c.Message == "" || c.Line < 1 || c.Line > lines+strings.Count(string(data), "\r")+strings.Count(string(data), "\u0085")+strings.Count(string(data), "\u2028")+strings.Count(string(data), "\u2029") {
					t.Fatalf("%+v in %d lines", c, lines)
				}
			}
		}
	})
}

// BenchmarkParseObjects reads 1,000 VirtualServices of 640 bytes an iteration.
func BenchmarkParseObjects(b *testing.B) {
	documents := SplitDocuments([]byte(strings.Repeat("---\n"+virtualService, 1000)))
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range documents {
			if _, conditions := ParseObjects(d, "f.yaml"); len(conditions) > 0 {
				b.Fatal(conditions)
			}
		}
	}
}
