package decode

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
)

const (
	sentSlice = `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-x","namespace":"shop"},"addressType":"IPv4","endpoints":[` +
		`{"addresses":["10.1.2.3"],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","namespace":"shop","name":"web-1"},"zone":"a"},` +
		`{"addresses":["10.1.2.4","10.1.2.5"],"conditions":{}},{"addresses":null},{"addresses":[]}],"ports":[{"name":"http","protocol":"TCP","port":8080,"appProtocol":"h2"},{"port":0},{}]}`
	sentService = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[` +
		`{"name":"http","protocol":"TCP","appProtocol":"http","port":80,"targetPort":8080,"nodePort":30080},{"port":443,"targetPort":"tls"}],` +
		`"selector":{"app":"web","version":"v1"},"clusterIP":"10.96.0.1","type":"ClusterIP","externalName":"","publishNotReadyAddresses":true,"ipFamilies":["IPv4","IPv6"]}}`
)

// TestQuick: what an API server sends is read as encoding/json reads it.
func TestQuick(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		into any
		text string
	}{
		{&kube.EndpointSlice{}, sentSlice},
		{&kube.EndpointSlice{}, `{"endpoints":null,"ports":null}`},
		{&kube.EndpointSlice{}, ` { "endpoints" : [ ] , "ports" : [ ] } `},
		{&kube.Service{}, sentService},
		{&kube.Service{}, `{"spec":{"ports":[],"selector":{},"ipFamilies":null}}`},
		{&kube.Service{}, `{}`},
	} {
		if !quickly(c.into, []byte(c.text)) {
			t.Errorf("not read: %s", c.text)
			continue
		}
		if want := slowly(t, c.into, c.text); !reflect.DeepEqual(c.into, want) {
			t.Errorf("got  %+v\nwant %+v\nof %s", c.into, want, c.text)
		}
	}
}

// TestQuickRefuses: what needs a closer look is left to encoding/json, and comes out right.
func TestQuickRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{", "[]", "null", `{} x`, `{"kind":1}`, `{"kind":"\u0041"}`, `{"kind":"é"}`, "{\"kind\":\"a\tb\"}", `{"Kind":"a"}`, `{"kind":"a","kind":"b"}`, `{"kind":null}`,
		`{"addressType":"IPv4","newer":1}`, `{"endpoints":{}}`, `{"endpoints":[{}]}`, `{"endpoints":[{"addresses":["a"]},]}`, `{"endpoints":[{"addresses":["a"],"zone":null}]}`,
		`{"endpoints":[{"addresses":["a"],"conditions":{"ready":yes}}]}`, `{"ports":[{"port":-1}]}`, `{"ports":[{"port":01}]}`, `{"ports":[{"port":1e3}]}`, `{"ports":[{"port":4294967296}]}`, `{"ports":[{"port":"80"}]}`,
		`{"metadata":{"name":"a","labels":{}}}`,
	} {
		if quickly(&kube.EndpointSlice{}, []byte(text)) {
			t.Errorf("read: %s", text)
		}
	}
	o := &config.Object{Key: config.Key{Group: endpointSlices, Kind: "EndpointSlice", Namespace: "shop", Name: "web"}, Version: "v1",
		Source: config.Plain(`{"endpoints":[{"addresses":["10.1.2.3"],"zone":"\u0061","newer":1}]}`)}
	typed, conditions := Decode(o)
	if s, ok := typed.(*kube.EndpointSlice); !ok || len(conditions) != 0 || len(s.Endpoints) != 1 || *s.Endpoints[0].Zone != "a" || s.Name != "web" {
		t.Errorf("got %+v, %v", typed, conditions)
	}
}

// TestQuickIsQuick: an endpoint costs no memory of its own.
func TestQuickIsQuick(t *testing.T) {
	endpoint := `{"addresses":["10.1.2.3"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","namespace":"shop","name":"web-1"},"zone":"a"}`
	text := []byte(`{"endpoints":[` + strings.Repeat(endpoint+",", 99) + endpoint + `],"ports":[{"name":"http","port":80}]}`)
	if n := testing.AllocsPerRun(10, func() {
		if !quickly(&kube.EndpointSlice{}, text) {
			t.Fatal("not read")
		}
	}); n > 8 {
		t.Errorf("%v allocations for 100 endpoints", n)
	}
}

// slowly reads a text with encoding/json, into what is of the same type as like.
func slowly(t *testing.T, like any, text string) any {
	t.Helper()
	into := reflect.New(reflect.TypeOf(like).Elem()).Interface()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Errorf("encoding/json does not read %s: %v", text, err)
	}
	return into
}

// FuzzQuick: what is read at all is read as encoding/json reads it.
func FuzzQuick(f *testing.F) {
	for _, text := range []string{sentSlice, sentService, `{"spec":{"ports":[{"targetPort":"a"}]}}`, `{"kind":"\ud800"}`, `{"spec":{"selector":{"a":"b","a":"c"}}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, into := range []any{&kube.EndpointSlice{}, &kube.Service{}} {
			if !quickly(into, []byte(text)) {
				continue
			}
			if want := slowly(t, into, text); !reflect.DeepEqual(into, want) {
				t.Errorf("got  %+v\nwant %+v", into, want)
			}
		}
	})
}
