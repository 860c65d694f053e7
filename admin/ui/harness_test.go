package ui

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

const patience = 30 * time.Second

// proxy is a proxy as far as its page knows it. Its numbers grow with each look.
type proxy struct {
	asked    atomic.Uint64
	notReady atomic.Pointer[error]
	spec     *router.Spec
}

func (p *proxy) options() Options {
	spec := p.spec
	if spec == nil {
		spec = &router.Spec{
			Listeners: []*router.Listener{{Name: "0.0.0.0_8080", Port: 8080, Tables: []*router.RouteTable{{Name: "http.80", VirtualHosts: []*router.VirtualHost{{
				Name: "shop:80", Domains: []string{"shop.example.com"},
				Routes: []*router.Route{{
					Object:      &router.Object{Kind: "VirtualService", Namespace: "default", Name: "shop"},
					Field:       "http[0]",
					Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/cart"}},
					RouteAction: &router.RouteAction{Name: "split", Destinations: []router.Destination{{Cluster: "outbound|80|v1|shop", Weight: 90}, {Cluster: "outbound|80|v9|shop", Weight: 10}}},
				}},
			}}}}}},
			Clusters: []*router.Cluster{{Name: "outbound|80|v1|shop", Host: "shop", Subset: "v1", Port: 80}},
		}
	}
	o := Options{
		Admin: admin.Options{
			Info: admin.Info{Role: "gateway", Namespace: "istio-system"},
			Ready: func() error {
				if err := p.notReady.Load(); err != nil {
					return *err
				}
				return nil
			},
			Config: func() admin.Config {
				p.asked.Add(1)
				return admin.Config{Generation: 7, Spec: spec, Conditions: []config.Condition{{
					Severity: config.Error, Reason: "NoSuchSubset", Object: config.Key{Kind: "VirtualService", Namespace: "default", Name: "shop"},
					Message: "no subset v9", File: "shop.yaml", Line: 12,
				}}}
			},
			Listeners: func() []admin.Listener { return []admin.Listener{{Name: "0.0.0.0_8080", Bound: true, Connections: 3}} },
			Clusters: func() []admin.Cluster {
				return []admin.Cluster{{Name: "outbound|80|v1|shop", Endpoints: []admin.Endpoint{{Address: "10.0.0.1:80", Healthy: true, Requests: p.asked.Load()}}, Stats: []admin.Stat{{Name: "upstream_cx_total"}}}}
			},
		},
		Interval: 5 * time.Millisecond,
		Edges: func() ([]Edge, []float64) {
			e := Edge{Reporter: "source", From: End{Workload: "gateway"}, To: End{Workload: "shop-v1", Version: "v1"}, Service: "shop", Protocol: "http",
				Counts: Counts{Requests: p.asked.Load(), Errors: 1, Buckets: []uint64{1, 2}}}
			other := e
			other.Buckets = []uint64{0, 0, 5}
			return []Edge{e, other}, []float64{1, 10}
		},
		Failures: func() []Failure { return []Failure{{Sequence: 1, ID: "a", Host: "<script>", Path: "/\n", Status: 503}} },
	}
	return o
}

// serve serves a page, with the admin server's own limits.
func serve(t *testing.T, o Options) string {
	t.Helper()
	return serveWithin(t, o, patience)
}

// serveWithin serves a page, with a time for each request.
func serveWithin(t *testing.T, o Options, timeout time.Duration) string {
	t.Helper()
	o.Admin.UI = NewHandler(o)
	server := admin.NewServer(admin.NewHandler(o.Admin), slog.New(slog.DiscardHandler))
	server.ReadTimeout = timeout
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// update is an event as the page reads it.
type update struct {
	At      int64
	Proxies []map[string]json.RawMessage
}

// info reads a proxy's section.
func (u update) info(t *testing.T, proxy int) (i Info) {
	t.Helper()
	if err := json.Unmarshal(u.Proxies[proxy]["info"], &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// page is an open page.
type page struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	close    context.CancelFunc
}

func open(t *testing.T, address string) *page {
	t.Helper()
	p, err := tryOpen(t, address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// openInTime opens a page of a server that gives requests little time, which a busy machine may
// exceed.
func openInTime(t *testing.T, address string) (p *page) {
	t.Helper()
	eventually(t, "a page is opened", func() (ok bool) {
		var err error
		p, err = tryOpen(t, address)
		return err == nil
	})
	return p
}

func tryOpen(t *testing.T, address string) (*page, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ui/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		cancel()
		return nil, err
	}
	p := &page{t: t, response: response, lines: bufio.NewScanner(response.Body)}
	p.lines.Buffer(nil, 8<<20)
	p.close = func() {
		cancel()
		response.Body.Close()
	}
	t.Cleanup(p.close)
	return p, nil
}

// next returns the next event.
func (p *page) next() (u update) {
	p.t.Helper()
	for p.lines.Scan() {
		if text, ok := strings.CutPrefix(p.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(text), &u); err != nil {
				p.t.Fatalf("%v in %s", err, text)
			}
			return u
		}
	}
	p.t.Fatal(errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
	return u
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come to: ", what)
		}
	}
}

func get(t *testing.T, address string) (status int, header http.Header, body string) {
	t.Helper()
	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}
