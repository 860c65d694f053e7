package sidecar

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// manifests are a service with two ports, of which a VirtualService rules one.
const manifests = `
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  ports: [{name: http, port: 9080}, {name: http-admin, port: 9081}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: %s}, {name: http-admin, port: %s}]
endpoints: [{addresses: ["127.0.0.1"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{port: 9080, headers: {end-user: {exact: jason}}}]
    rewrite: {uri: /jasons}
    route: [{destination: {host: reviews, port: {number: 9080}}}]
  - match: [{port: 9080}]
    route: [{destination: {host: reviews, port: {number: 9080}}}]
  - route: [{destination: {host: reviews, port: {number: 9081}}}]
`

// server starts an upstream and returns its port.
func server(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
}

// TestSidecar: the workload's calls go where the mesh says, by Host and port; calls to
// the workload reach it.
func TestSidecar(t *testing.T) {
	t.Parallel()
	var list []*config.Object
	for _, doc := range config.SplitDocuments(fmt.Appendf(nil, manifests, server(t, "reviews"), server(t, "admin"))) {
		objects, conditions := config.ParseObjects(doc, "test.yaml")
		if len(conditions) > 0 {
			t.Fatal(conditions)
		}
		list = append(list, objects...)
	}
	states := make(chan role.Status, 100)
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	o := Options{
		Source: func(ctx context.Context, publish func(config.Delta)) error {
			publish(config.Delta{Set: list})
			<-ctx.Done()
			return ctx.Err()
		},
		NewCompiler: func() pipeline.Compile {
			c := istio.NewCompiler(istio.Options{Role: istio.Sidecar, Labels: map[string]string{"app": "productpage"}})
			return func(d config.Delta) (*router.Spec, []config.Condition) {
				r := c.Apply(d)
				return r.Spec, r.Conditions
			}
		},
		Outbound: "127.0.0.1:0",
		Inbound: []Inbound{
			{Listen: "127.0.0.1:0", Local: "127.0.0.1:" + server(t, "app")},
			{Listen: "localhost:0", Local: grpcServer(t)},
		},
		Logger: slog.New(slog.DiscardHandler),
		Notify: func(s role.Status) { states <- s },
	}
	go func() { ended <- Run(ctx, o) }()
	var s role.Status
	select {
	case s = <-states:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the sidecar tells nothing")
	}
	if s.NotReady != nil || len(s.Conditions) > 0 {
		t.Fatalf("%+v", s)
	}
	out, in := s.Address(Outbound), s.Address("inbound_127.0.0.1:0")
	for _, c := range []struct {
		at, host, user string
		status         int
		want           string
	}{
		{out, "reviews:9080", "", 200, "reviews /x "},
		{out, "reviews.default:9080", "", 200, "reviews /x "},
		{out, "reviews.default.svc.cluster.local:9080", "jason", 200, "reviews /jasonsx "},
		{out, "reviews:9081", "", 200, "admin /x "},
		{out, "reviews:9081", "jason", 200, "admin /x "},
		{in, "anything", "", 200, "app /x "},
	} {
		r, err := http.NewRequest("GET", "http://"+c.at+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		if c.user != "" {
			r.Header.Set("End-User", c.user)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || string(body) != c.want {
			t.Errorf("%s for %q: got %d %q, %v; want %d %q", c.host, c.user, resp.StatusCode, body, err, c.status, c.want)
		}
	}
	viaProxy(t, out)
	asSent(t, out)
	callGRPC(t, s.Address("inbound_localhost:0"))
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// viaProxy calls as a program does that knows http_proxy: in absolute form.
func viaProxy(t *testing.T, out string) {
	t.Helper()
	proxy := func(*http.Request) (*url.URL, error) { return url.Parse("http://" + out) }
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: proxy, DisableKeepAlives: true}}).Get("http://reviews:9080/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "reviews /x " {
		t.Errorf("through http_proxy: %d %q, %v", resp.StatusCode, body, err)
	}
}

// asSent: what the edge would refuse, a workload may say to another.
func asSent(t *testing.T, out string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+out+"/a%2Fb", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "reviews:9080"
	r.Header["user_id"] = []string{"1"}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "reviews /a/b " {
		t.Errorf("an escaped slash and a header with an underscore: %d %q, %v", resp.StatusCode, body, err)
	}
}

// grpcServer starts an application that speaks gRPC, which is HTTP/2 and nothing else, and
// returns its address.
func grpcServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Protocols: onlyHTTP2(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		io.Copy(w, r.Body)
		w.Header().Set("Grpc-Status", "0")
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func onlyHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// callGRPC calls the workload by gRPC.
func callGRPC(t *testing.T, in string) {
	t.Helper()
	r, err := http.NewRequest("POST", "http://"+in+"/echo.Echo/Say", strings.NewReader("\x00\x00\x00\x00\x02hi"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	transport := &http.Transport{Protocols: onlyHTTP2()}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "\x00\x00\x00\x00\x02hi" || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("gRPC: %d %q, header %v, trailer %v, %v", resp.StatusCode, body, resp.Header, resp.Trailer, err)
	}
}
