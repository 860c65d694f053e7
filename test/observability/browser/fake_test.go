package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// fake is a proxy that exists only as far as its page tells of it: for states that a real one
// cannot be brought into in a test.
type fake struct {
	o      ui.Options
	open   atomic.Int64 // streams
	server *http.Server
}

func newFake() *fake {
	f := &fake{}
	f.o = ui.Options{
		Name: "fake",
		Admin: admin.Options{
			Info: admin.Info{Role: "gateway", Started: time.Now()}, Ready: func() error { return nil },
			Config:    func() admin.Config { return admin.Config{Generation: 1, Updated: time.Now()} },
			Table:     func() *router.Table { return nil },
			Listeners: func() []admin.Listener { return nil }, Clusters: func() []admin.Cluster { return nil },
		},
	}
	return f
}

// listen serves the page until the test ends, or stop.
func (f *fake) listen(t testing.TB, address string) string {
	t.Helper()
	var l net.Listener
	err := waitFor(func() bool {
		var err error
		l, err = net.Listen("tcp", address)
		return err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page := ui.NewHandler(f.o)
	o := f.o.Admin
	o.UI = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ui/events" {
			f.open.Add(1)
			defer f.open.Add(-1)
		}
		page.ServeHTTP(w, r)
	})
	f.server = admin.NewServer(admin.NewHandler(o), slog.New(slog.DiscardHandler))
	go f.server.Serve(l)
	t.Cleanup(f.stop)
	return l.Addr().String()
}

func (f *fake) stop() { f.server.Close() }

func waitFor(holds func() bool) error {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return nil
		}
	}
	return errors.New("it took too long")
}

// quote writes a string as JavaScript has it.
func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// evil are texts that would do something if they were taken for markup, script or a name of the
// language's own.
var evil = []string{
	`<img src=x onerror="window.taken=1">`, `"><script>window.taken=2</script>`, `</script><svg onload=window.taken=3>`, `javascript:window.taken=4`,
	"__proto__", "constructor", "${window.taken=5}", "\u202egnp.exe", "line\nbreak\u2028\r\n\r\nevent: update", `'-window.taken-'`, strings.Repeat("long", 2000),
}

// hostile is a proxy all of whose names are evil.
func hostile() *fake {
	f := newFake()
	f.o.Name = evil[0]
	text := func(i int) string { return evil[i%len(evil)] }
	spec := &router.Spec{}
	var conditions []config.Condition
	var clusters []admin.Cluster
	var edges []ui.Edge
	var failures []ui.Failure
	var certificates []admin.Certificate
	var listeners []admin.Listener
	for i := range evil {
		spec.Listeners = append(spec.Listeners, &router.Listener{Name: text(i), Tables: []*router.RouteTable{{Name: text(i + 1), VirtualHosts: []*router.VirtualHost{{
			Name: text(i + 2), Domains: []string{text(i + 3)},
			Routes: []*router.Route{{
				Object:      &router.Object{Kind: text(i + 1), Name: text(i + 2)},
				Field:       text(i + 3),
				Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: text(i)}},
				RouteAction: &router.RouteAction{Name: text(i), Destinations: []router.Destination{{Cluster: text(i), Weight: 1}, {Cluster: text(i + 1), Weight: 1}}},
			}},
		}}}}})
		conditions = append(conditions, config.Condition{Severity: config.Error, Object: config.Key{Kind: text(i), Name: text(i + 1)}, Field: text(i + 2), Message: text(i), File: text(i + 4), Line: i})
		clusters = append(clusters, admin.Cluster{Name: text(i), Endpoints: []admin.Endpoint{{Address: text(i + 1), Name: text(i + 2), Locality: text(i + 3)}}})
		edges = append(edges, ui.Edge{
			Reporter: text(i), Protocol: text(i + 1), Service: text(i), ServiceName: text(i), ServiceNamespace: text(i + 2),
			From: ui.End{Workload: text(i + 1), Namespace: text(i + 2), App: text(i + 3), Version: text(i + 4)}, To: ui.End{Workload: text(i), Version: text(i)},
			Counts: ui.Counts{Requests: 100, Errors: 50},
		})
		failures = append(failures, ui.Failure{
			Sequence: uint64(i), ID: text(i), Time: time.Now(), Method: text(i), Scheme: text(i), Host: text(i + 1), Path: text(i + 2), Status: 404,
			Flags: text(i), Details: text(i + 1), Route: text(i + 2), Cluster: text(i + 3), Endpoint: text(i + 4), Reason: text(i + 5),
		})
		certificates = append(certificates, admin.Certificate{Name: text(i), Subject: text(i + 1), Names: []string{text(i + 2)}, Key: text(i + 3), Error: text(i + 4), NotAfter: time.Now()})
		listeners = append(listeners, admin.Listener{Name: text(i), Error: text(i + 1)})
	}
	n := uint64(0)
	f.o.Admin.Ready = func() error { return errors.New(evil[0]) }
	f.o.Admin.Info.Namespace, f.o.Admin.Info.Config = evil[1], evil
	f.o.Admin.Config = func() admin.Config { return admin.Config{Generation: 1, Spec: spec, Conditions: conditions} }
	f.o.Admin.Clusters = func() []admin.Cluster { return clusters }
	f.o.Admin.Certificates = func() []admin.Certificate { return certificates }
	f.o.Admin.Listeners = func() []admin.Listener { return listeners }
	f.o.Failures = func() []ui.Failure { return failures }
	f.o.Edges = func() ([]ui.Edge, []float64) {
		n++
		list := make([]ui.Edge, len(edges))
		for i, e := range edges {
			e.Requests *= n
			e.Errors *= n
			list[i] = e
		}
		return list, []float64{1, 10}
	}
	f.o.Peers = func() []ui.Peer { return []ui.Peer{{Name: evil[2], Address: "127.0.0.1:1"}} }
	return f
}

// troubled is a proxy with every kind of trouble.
func troubled() *fake {
	f := newFake()
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	f.o.Admin.Ready = func() error { return errors.New("no listener can be bound") }
	f.o.Admin.Listeners = func() []admin.Listener {
		return []admin.Listener{{Name: "0.0.0.0_80", Error: "permission denied"}, {Name: "0.0.0.0_443", Bound: true, Connections: 1234}}
	}
	f.o.Admin.Certificates = func() []admin.Certificate {
		return []admin.Certificate{
			{Name: "secret shop/fine", Subject: "CN=fine", Key: "ECDSA-P-256", Names: []string{"fine.example.com"}, NotBefore: in(-time.Hour), NotAfter: in(60 * 24 * time.Hour)},
			{Name: "secret shop/soon", Names: []string{"soon.example.com"}, NotAfter: in(7*24*time.Hour + time.Minute)},
			{Name: "secret shop/over", Names: []string{"over.example.com"}, NotAfter: in(-50 * time.Hour)},
			{Name: "secret shop/missing", Error: "there is no such Secret"},
		}
	}
	f.o.Admin.Config = func() admin.Config {
		return admin.Config{Generation: 3, Updated: time.Now(), Conditions: []config.Condition{
			{Severity: config.Warning, Object: config.Key{Kind: "Gateway", Namespace: "shop", Name: "web"}, Field: "servers[0]", Message: "nobody is selected"},
			{Severity: config.Info, Object: config.Key{Kind: "Service", Name: "quiet"}, Message: "worth knowing"},
		}}
	}
	f.o.Admin.Clusters = func() []admin.Cluster {
		return []admin.Cluster{
			{Name: "outbound|80||half", Endpoints: []admin.Endpoint{{Address: "10.0.0.1:80", Healthy: true, Ejections: 2}, {Address: "10.0.0.2:80", Ejections: 1, Active: 3}}},
			{Name: "outbound|80||none", Endpoints: []admin.Endpoint{{Address: "10.0.0.3:80"}}},
		}
	}
	n := uint64(0)
	f.o.Edges = func() ([]ui.Edge, []float64) {
		n++
		web := ui.End{Workload: "web", Namespace: "shop"}
		return []ui.Edge{
			{Reporter: "source", From: web, To: ui.End{Workload: "half-v1", Version: "v1"}, Service: "half", ServiceName: "half", Protocol: "http", Counts: ui.Counts{Requests: 100 * n, Errors: 3 * n, Buckets: []uint64{100 * n}}},
			{Reporter: "source", From: web, To: ui.End{Workload: "db-0"}, Service: "db", ServiceName: "db", Protocol: "tcp", Opened: 5 * n, Sent: n},
		}, []float64{10}
	}
	f.o.Failures = func() []ui.Failure {
		return []ui.Failure{{Sequence: 9, ID: "x", Time: time.Now(), Method: "GET", Host: "half", Path: "/", Status: 0, Flags: "DC", Reason: "the client left"}, {Sequence: 8, Time: time.Now(), Host: "db:5432", Flags: "UF"}}
	}
	f.o.Peers = func() []ui.Peer { return []ui.Peer{{Name: "half-v1", Address: "127.0.0.1:1"}} }
	return f
}

// crowd is a proxy with many services and routes, all of them busy.
func crowd(services, routes int) *fake {
	f := newFake()
	host := &router.VirtualHost{Name: "crowd:80", Domains: []string{"crowd.example.com"}}
	spec := &router.Spec{Listeners: []*router.Listener{{Name: "l", Tables: []*router.RouteTable{{Name: "http.80", VirtualHosts: []*router.VirtualHost{host}}}}}}
	for i := range routes {
		host.Routes = append(host.Routes, &router.Route{
			Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: fmt.Sprintf("/part/%d/", i)}},
			RouteAction: &router.RouteAction{Name: fmt.Sprintf("route-%04d", i), Destinations: []router.Destination{{Cluster: cluster(i % services)}}},
		})
	}
	n := uint64(0)
	f.o.Admin.Config = func() admin.Config { return admin.Config{Generation: 1, Spec: spec} }
	f.o.Admin.Clusters = func() []admin.Cluster {
		list := make([]admin.Cluster, services)
		for i := range list {
			list[i] = admin.Cluster{Name: cluster(i)}
			for j := range 5 {
				list[i].Endpoints = append(list[i].Endpoints, admin.Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i, j), Healthy: true, Requests: n})
			}
		}
		return list
	}
	counts := func(i int) ui.Counts {
		return ui.Counts{Requests: n * uint64(1+i%50), Buckets: []uint64{0, n, n * uint64(i%50)}}
	}
	f.o.Edges = func() ([]ui.Edge, []float64) {
		n++
		var list []ui.Edge
		for i := range services {
			from := ui.End{Workload: "gateway"}
			if i >= 10 {
				from = ui.End{Workload: fmt.Sprintf("service-%d-v1", i/10), Namespace: "default", Version: "v1"}
			}
			for _, version := range []string{"v1", "v2"} {
				list = append(list, ui.Edge{
					Reporter: "source", From: from, To: ui.End{Workload: fmt.Sprintf("service-%d-%s", i, version), Namespace: "default", Version: version},
					Service: fmt.Sprintf("service-%d.default.svc.cluster.local", i), ServiceName: fmt.Sprintf("service-%d", i), ServiceNamespace: "default", Protocol: "http", Counts: counts(i),
				})
			}
		}
		return list, []float64{1, 10}
	}
	f.o.Routes = func() ([]ui.RouteTraffic, []float64) {
		list := make([]ui.RouteTraffic, routes)
		for i, r := range host.Routes {
			list[i] = ui.RouteTraffic{ID: ui.RouteID("l", host.Name, r.Name, r.Origin()), Listener: "l", Cluster: cluster(i % services), Counts: counts(i)}
		}
		return list, []float64{1, 10}
	}
	return f
}

func cluster(i int) string {
	return fmt.Sprintf("outbound|80||service-%d.default.svc.cluster.local", i)
}
