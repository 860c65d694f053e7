package kube

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const oddObject = `{ "kind" : "Gateway","metadata":{"name":"a","namespace":"b","labels":{"x\u0041":"\"y\"","e":""},"annotations":null,` +
	`"creationTimestamp":"2026-11-21T12:00:00Z","generation":7,"uid":"u","resourceVersion":"12","managedFields":[{"a":"]}\\\""}]} ,` +
	` "spec" : {"servers":[ {"hosts":["*\\\"]"]}, 1.5e3, true,null ], "e":{},"l":[]},"status":{"x":[{}]}}`

// TestRead: an object is read whatever its white space and escapes, and its manifest is JSON with
// what is kept.
func TestRead(t *testing.T) {
	t.Parallel()
	i, err := newReader(resources[0], "v1").read([]byte(oddObject))
	if err != nil {
		t.Fatal(err)
	}
	o := i.object
	if o.Name != "a" || o.Namespace != "b" || i.Generation != 7 || i.UID != "u" || i.ResourceVersion != "12" ||
		!reflect.DeepEqual(o.Labels, map[string]string{"xA": `"y"`, "e": ""}) || o.Annotations != nil || o.Created.Time().Year() != 2026 {
		t.Errorf("got %+v, %+v", i, o)
	}
	var got, want any
	if err := json.Unmarshal(o.Text(), &got); err != nil {
		t.Fatalf("%v in %s", err, o.Text())
	}
	must(t, json.Unmarshal([]byte(`{"apiVersion":"networking.istio.io/v1","kind":"Gateway","metadata":{"name":"a","namespace":"b"},`+
		`"spec":{"servers":[{"hosts":["*\\\"]"]},1500,true,null],"e":{},"l":[]}}`), &want))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s", o.Text())
	}
	for _, bad := range []string{"", "{", "[]", `{"metadata":{"name":""}}`, `{"metadata":{"name":"a\"b"}}`, `{"metadata":1}`, `{"spec":{}}`, `{"metadata":{"name":"a"},"spec":{`, `{"metadata" {}}`} {
		if i, err := newReader(pod, "v1").read([]byte(bad)); !errors.Is(err, errJSON) {
			t.Errorf("%s gave %+v, %v", bad, i, err)
		}
	}
}

// TestReadList: a list is read however it is cut on its way.
func TestReadList(t *testing.T) {
	t.Parallel()
	long := `{"x":"` + strings.Repeat(`\"]}`, 40_000) + `"}`
	for _, c := range []struct {
		text     string
		items    []string
		metadata string
	}{
		{`{"items":[{"a":1} , {"b":"}"},` + long + `],"metadata":{"resourceVersion":"1"},"kind":"L"}`, []string{`{"a":1}`, `{"b":"}"}`, long}, `{"resourceVersion":"1"}`},
		{` {"kind":"L","n":12,"metadata":{},"items":[]}`, nil, `{}`},
		{`{"metadata":{},"items":null}`, nil, `{}`},
	} {
		for _, from := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text)), iotest.DataErrReader(iotest.HalfReader(strings.NewReader(c.text)))} {
			var got []string
			metadata, err := readList(from, func(text []byte) error {
				got = append(got, string(text))
				return nil
			})
			if err != nil || !reflect.DeepEqual(got, c.items) || string(metadata) != c.metadata {
				t.Errorf("got %d items, %s, %v", len(got), metadata, err)
			}
		}
		for cut := range min(len(c.text), 200) {
			if _, err := readList(strings.NewReader(c.text[:cut]), func([]byte) error { return nil }); err == nil {
				t.Errorf("%q is no list", c.text[:cut])
			}
		}
	}
	endless := io.MultiReader(strings.NewReader(`{"items":["`), iotest.HalfReader(zeros{}))
	if _, err := readList(endless, func([]byte) error { return nil }); !errors.Is(err, errTooLong) {
		t.Errorf("an endless object gave %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzRead: whatever comes, nothing panics; of JSON, what is kept is JSON.
func FuzzRead(f *testing.F) {
	f.Add([]byte(oddObject))
	f.Add([]byte(`{"metadata":{"name":"a","ownerReferences":[{"kind":"x","y":1}],"deletionTimestamp":null},"spec":{"containers":[{"ports":[{"name":"h"}]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, r := range []*resource{resources[0], pod, podMetadata, secret} {
			i, err := newReader(r, "v1").read(text)
			if err == nil && json.Valid(text) && !json.Valid(i.object.Text()) {
				t.Errorf("of %s came %s", text, i.object.Text())
			}
		}
		_, _ = readList(iotest.HalfReader(strings.NewReader(string(text))), func(item []byte) error {
			if json.Valid(text) && !json.Valid(item) {
				t.Errorf("of %s came the item %s", text, item)
			}
			return nil
		})
	})
}
