package envoydump

import (
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/version"
)

// compile compiles folders for a proxy. What is wrong with them fails the test.
func compile(t *testing.T, o istio.Options, folders ...string) *router.Spec {
	t.Helper()
	delta, err := file.Load(folders...)
	if err != nil {
		t.Fatal(err)
	}
	result := istio.NewCompiler(o).Apply(delta)
	for _, c := range append(delta.Conditions, result.Conditions...) {
		if c.Severity == "Error" {
			t.Errorf("%s", c)
		}
	}
	return result.Spec
}

// page returns a page of the admin server of a proxy that serves spec.
func page(t *testing.T, spec *router.Spec, target string) []byte {
	t.Helper()
	o := admin.Options{
		Info:   admin.Info{Role: "gateway", Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}, Version: version.Get(), Started: time.Now()},
		Node:   "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local",
		Config: func() admin.Config { return admin.Config{Generation: 7, Updated: time.Now(), Spec: spec} },
		Listeners: func() (list []admin.Listener) {
			for _, l := range spec.Listeners {
				list = append(list, admin.Listener{Name: l.Name, Address: "127.0.0.1:12345", Bound: true})
			}
			return list
		},
		Clusters: func() (list []admin.Cluster) {
			for _, c := range spec.Clusters {
				state := admin.Cluster{Name: c.Name}
				for i, e := range c.Endpoints {
					state.Endpoints = append(state.Endpoints, admin.Endpoint{
						Address: e.Address, Healthy: i == 0, Weight: e.Weight, Locality: e.Locality, Priority: i, Open: 2, Requests: 7, Failures: 1,
					})
				}
				list = append(list, state)
			}
			return list
		},
		Ready: func() error { return nil },
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "127.0.0.1:15000"
	admin.NewHandler(o).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// decode reads JSON strictly: what the message does not know is an error.
func decode(t *testing.T, text []byte, into proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal(text, into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}
