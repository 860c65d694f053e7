package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// manifests have a gateway on ports 80 and 81 before two versions of a service; route is
// the version that port 80 leads to.
const manifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop.example.com"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: ["shop.example.com"]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - route: [{destination: {host: backend.example.com, subset: %s}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: backend}
spec:
  host: backend.example.com
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: backend}
spec:
  hosts: [backend.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: %s}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: %s}, labels: {version: v2}}
`

const secondGateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: second}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}
`

// TestGateway: objects become sockets and answers, and changes of them too.
func TestGateway(t *testing.T) {
	t.Parallel()
	version := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s", name, r.Host, r.URL.Path)
		}))
		t.Cleanup(s.Close)
		return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
	}
	v1, v2 := version("v1"), version("v2")

	deltas := make(chan config.Delta)
	states := make(chan role.Status, 100)
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	o := Options{
		Source: func(ctx context.Context, publish func(config.Delta)) error {
			for {
				select {
				case d := <-deltas:
					publish(d)
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		},
		NewCompiler: func() pipeline.Compile {
			c := istio.NewCompiler(istio.Options{Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}})
			return func(d config.Delta) (*router.Spec, []config.Condition) {
				r := c.Apply(d)
				return r.Spec, r.Conditions
			}
		},
		PortMap: map[uint16]uint16{80: 0, 81: 0},
		Logger:  slog.New(slog.DiscardHandler),
		Notify:  func(s role.Status) { states <- s },
	}
	go func() { ended <- Run(ctx, o) }()
	apply := func(d config.Delta) role.Status {
		t.Helper()
		deltas <- d
		select {
		case s := <-states:
			return s
		case <-time.After(20 * time.Second):
			t.Fatal("the gateway tells nothing")
			return role.Status{}
		}
	}
	objects := func(text string) config.Delta {
		t.Helper()
		var d config.Delta
		for _, doc := range config.SplitDocuments([]byte(text)) {
			list, conditions := config.ParseObjects(doc, "test.yaml")
			if len(conditions) > 0 {
				t.Fatal(conditions)
			}
			d.Set = append(d.Set, list...)
		}
		return d
	}

	s := apply(objects(fmt.Sprintf(manifests, "v1", v1, v2)))
	if s.NotReady != nil || len(s.Conditions) > 0 || len(s.Listeners) != 1 {
		t.Fatalf("%+v", s)
	}
	first := "http://" + s.Listeners[0].Address
	get(t, first+"/x", "shop.example.com", 200, "v1 shop.example.com /x")
	get(t, first+"/x", "SHOP.example.com:80", 200, "v1 SHOP.example.com:80 /x")
	get(t, first+"/x", "other.example.com", 404, "")
	get(t, first+"/old", "shop.example.com", 301, "")

	s = apply(objects(fmt.Sprintf(manifests, "v2", v1, v2)))
	get(t, first+"/x", "shop.example.com", 200, "v2 shop.example.com /x")

	s = apply(objects(secondGateway))
	if len(s.Listeners) != 2 || s.Listeners[0].Address == s.Listeners[1].Address {
		t.Fatalf("%+v", s.Listeners)
	}
	for _, l := range s.Listeners {
		if l.Port == 81 {
			get(t, "http://"+l.Address+"/x", "shop.example.com", 404, "")
		} else if "http://"+l.Address != first {
			t.Errorf("port 80 moved to %s", l.Address)
		}
	}

	s = apply(objects(fmt.Sprintf(manifests, "v3", v1, v2)))
	if len(s.Conditions) == 0 {
		t.Error("a subset that there is not is no condition")
	}
	get(t, first+"/x", "shop.example.com", 503, "")
	get(t, first+"/old", "shop.example.com", 301, "")

	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// get asks for a URL by a host; want is the body unless empty.
func get(t *testing.T, url, host string, status int, want string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status || want != "" && string(body) != want {
		t.Errorf("%s of %s: got %d %q, want %d %q", url, host, resp.StatusCode, body, status, want)
	}
}
