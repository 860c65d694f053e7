package role

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// proxyProcess is a Run whose configuration the test brings.
type proxyProcess struct {
	t      *testing.T
	push   chan *router.Spec
	status chan Status
	stop   context.CancelFunc
	ended  chan error
	last   Status
}

// run starts a process without configuration.
func run(t *testing.T, change func(*Options)) *proxyProcess {
	t.Helper()
	p := &proxyProcess{t: t, push: make(chan *router.Spec), status: make(chan Status, 1000), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	var current *router.Spec
	o := Options{
		Info: admin.Info{Role: "gateway"},
		Source: func(ctx context.Context, publish func(config.Delta)) error {
			for n := 0; ; n++ {
				select {
				case current = <-p.push:
					publish(config.Delta{Set: []*config.Object{{Key: config.Key{Kind: "Test", Name: fmt.Sprint(n)}}}})
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		},
		NewCompiler: func() pipeline.Compile {
			return func(config.Delta) (*router.Spec, []config.Condition) { return current, nil }
		},
		Binds: func(list []*router.Listener) (binds []Bind, _ []config.Condition) {
			for _, l := range list {
				binds = append(binds, Bind{Listener: l.Name, Address: l.Address})
			}
			return binds, nil
		},
		Admin:  "127.0.0.1:0",
		Status: "127.0.0.1:0",
		Drain:  10 * time.Second,
		Logger: quiet,
		Notify: func(s Status) { p.status <- s },
	}
	if change != nil {
		change(&o)
	}
	go func() { p.ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		p.stop()
		select {
		case err := <-p.ended:
			p.ended <- err
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	})
	return p
}

// set brings a configuration and returns the state in which it is served.
func (p *proxyProcess) set(listeners []*router.Listener, clusters ...*router.Cluster) Status {
	p.t.Helper()
	p.push <- &router.Spec{Listeners: listeners, Clusters: clusters}
	return p.next()
}

// next returns the next state that the process tells of.
func (p *proxyProcess) next() Status {
	p.t.Helper()
	select {
	case p.last = <-p.status:
		return p.last
	case err := <-p.ended:
		p.ended <- err
		p.t.Fatalf("Run ended: %v", err)
	case <-time.After(patience):
		p.t.Fatal("the process tells nothing")
	}
	return Status{}
}

// metrics returns what Prometheus would read, once it holds a text: a request counts
// a moment after its response has been received.
func (p *proxyProcess) metrics(text string) string {
	p.t.Helper()
	var body string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if _, body = fetch(p.t, "http://"+p.last.Admin+"/stats/prometheus"); strings.Contains(body, text) {
			return body
		}
	}
	p.t.Fatalf("no %s in the metrics:\n%s", text, body)
	return ""
}

// to is a listener that forwards everything to one cluster.
func to(name, address, cluster string) *router.Listener {
	return &router.Listener{Name: name, Address: address, Port: 80, Tables: []*router.RouteTable{{
		Name: "http.80", Port: 80, VirtualHosts: []*router.VirtualHost{{
			Name: "any:80", Domains: []string{"*"},
			Routes: []*router.Route{{RouteAction: &router.RouteAction{Name: "all", Destinations: []router.Destination{{Cluster: cluster}}}}},
		}},
	}}}
}

// origin starts a server that answers with text, and returns its cluster.
func origin(t *testing.T, name string, h http.HandlerFunc) *router.Cluster {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &router.Cluster{Name: name, Endpoints: []*router.Endpoint{{Address: s.Listener.Addr().String()}}}
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

// fetch returns a response's status and body over a connection of its own.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// TestReadiness follows a process from before its configuration to its end.
func TestReadiness(t *testing.T) {
	t.Parallel()
	arrived, letGo := make(chan struct{}), make(chan struct{})
	slow := origin(t, "slow", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-letGo
		io.WriteString(w, "finished")
	})
	statusAt := freeAddress()
	p := run(t, func(o *Options) { o.Status = statusAt })
	ready := "http://" + statusAt + "/healthz/ready"
	waitFor(t, statusAt)
	if code, body := fetch(t, ready); code != 503 || !strings.Contains(body, "no configuration") {
		t.Errorf("before the configuration: %d %s", code, body)
	}
	if code, _ := fetch(t, "http://"+statusAt+"/healthz/live"); code != 200 {
		t.Errorf("live: %d", code)
	}

	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "slow")}, slow)
	if s.NotReady != nil || s.Generation != 1 {
		t.Errorf("generation %d, not ready: %v", s.Generation, s.NotReady)
	}
	if code, body := fetch(t, ready); code != 200 {
		t.Errorf("serving: %d %s", code, body)
	}

	answer := make(chan string, 1)
	go func() {
		_, body := fetch(t, "http://"+s.Address("a")+"/")
		answer <- body
	}()
	<-arrived
	p.stop()
	if s := p.next(); s.NotReady == nil || !strings.Contains(s.NotReady.Error(), "draining") {
		t.Errorf("at the end, not ready: %v", s.NotReady)
	}
	if code, body := fetch(t, ready); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("draining: %d %s", code, body)
	}
	close(letGo)
	if got := <-answer; got != "finished" {
		t.Errorf("the running request got %q", got)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("Run: %v", err)
	} else {
		p.ended <- nil
	}
}

func waitFor(t *testing.T, address string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens on %s", address)
}

// TestWhatOperatorsSee: one request, as the admin server, the metrics and the access
// log tell of it.
func TestWhatOperatorsSee(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "access.log")
	p := run(t, func(o *Options) { o.AccessLog = log })
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "outbound|80||hello")}, origin(t, "outbound|80||hello", text("hello")))
	if code, body := fetch(t, "http://"+s.Address("a")+"/x?y=z"); code != 200 || body != "hello" {
		t.Fatalf("%d %q", code, body)
	}

	for path, want := range map[string]string{
		"/":                                     `Sluice gateway`,
		"/config_dump":                          `"generation": 1`,
		"/listeners":                            s.Address("a"),
		"/routes":                               "outbound|80||hello",
		"/clusters":                             "outbound|80||hello",
		"/clusters?format=sluice":               `"requests": 1`,
		"/conditions":                           "no conditions",
		"/ready":                                "ready",
		"/server_info":                          `"LIVE"`,
		"/explain?url=http://x/y":               `"outcome": "Forward"`,
		"/explain?url=http://" + s.Address("a"): `"outcome": "Forward"`,
		"/debug/pprof/goroutine?debug=1":        "goroutine profile",
	} {
		code, body := fetch(t, "http://"+s.Admin+path)
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, no %q in\n%s", path, code, want, body)
		}
	}
	if code, body := fetch(t, "http://"+s.Admin+"/explain?url=http://x/a%252fb"); code != 400 || !strings.Contains(body, "routes it nowhere") {
		t.Errorf("a path that is refused is explained as %d %s", code, body)
	}
	for _, want := range []string{
		`sluice_requests_total{code_class="2xx",listener="a",response_flags="-"} 1`,
		`sluice_request_duration_seconds_count{listener="a"} 1`,
		`sluice_upstream_requests_total{cluster="outbound|80||hello"} 1`,
		`sluice_upstream_failures_total{cluster="outbound|80||hello"} 0`,
		`sluice_downstream_connection_events_total{event="opened",listener="a"} 1`,
		`sluice_config_generation 1`,
	} {
		p.metrics(want + "\n")
	}

	p.stop()
	if err := <-p.ended; err != nil {
		t.Fatal(err)
	}
	p.ended <- nil
	line, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	host := regexp.QuoteMeta(s.Address("a"))
	want := regexp.MustCompile(`^\[20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET /x\?y=z HTTP/1\.1" 200 - via_upstream - "-" 0 5 \d+ \d+ "127\.0\.0\.1" "Go-http-client/1\.1" "[0-9a-f-]{36}" "` +
		host + `" "127\.0\.0\.1:\d+" outbound\|80\|\|hello 127\.0\.0\.1:\d+ ` + host + ` 127\.0\.0\.1:\d+ - all\n$`)
	if !want.Match(line) {
		t.Errorf("the access log holds\n%swant\n%s", line, want)
	}
}

// TestChangesUnderLoad: while listeners and routes come and go, a client of a listener
// that stays loses no request and not even its connection.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	p := run(t, nil)
	one, two := origin(t, "one", text("one")), origin(t, "two", text("two"))
	address := freeAddress()
	s := p.set([]*router.Listener{to("a", address, "one")}, one, two)

	var served atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		c := dial(t, s.Address("a"))
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := c.send("/"); err != nil {
					t.Errorf("a connection is lost: %v", err)
					return
				}
				if body, err := c.receive(); err != nil || body != "one" && body != "two" {
					t.Errorf("a request is lost: %q, %v", body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	const changes = 40
	for i := range changes {
		cluster, other := "one", "two"
		if i%2 == 0 {
			cluster, other = other, cluster
		}
		list := []*router.Listener{to("a", address, cluster)}
		if i%3 > 0 {
			list = slices.Insert(list, 0, to(fmt.Sprint("b", i%3), "127.0.0.1:0", other))
		}
		s := p.set(list, one, two)
		if code, body := fetch(t, "http://"+s.Address("a")+"/"); code != 200 || body != cluster {
			t.Errorf("change %d: got %d %q, want %q", i, code, body, cluster)
		}
		if i%3 > 0 {
			if _, body := fetch(t, "http://"+s.Address(fmt.Sprint("b", i%3))+"/"); body != other {
				t.Errorf("change %d: the other listener says %q", i, body)
			}
		}
	}
	for served.Load() < 500 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	close(done)
	clients.Wait()
	if p.last.Generation != changes+1 {
		t.Errorf("generation %d", p.last.Generation)
	}
}

// TestEndUnderLoad: clients that call as fast as they can, through to an upstream, lose
// no request when the process ends.
func TestEndUnderLoad(t *testing.T) {
	t.Parallel()
	c := &crowd{want: "one"}
	p := run(t, func(o *Options) { o.Drain, o.settled = patience, c.settled })
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "one")}, origin(t, "one", text("one")))
	c.address = s.Address("a")
	c.call(t, 8)
	p.stop()
	if err := <-p.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	p.ended <- nil
	c.Wait()
}

// TestConditionsOfSockets: a port that is taken shows wherever conditions do.
func TestConditionsOfSockets(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := run(t, nil)
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x"), to("b", other.Addr().String(), "x")})
	if len(s.Conditions) != 1 || s.Conditions[0].Reason != PortTaken || s.Conditions[0].Object.Name != "b" || s.NotReady != nil {
		t.Errorf("conditions %+v, not ready: %v", s.Conditions, s.NotReady)
	}
	if _, metrics := fetch(t, "http://"+s.Admin+"/stats/prometheus"); !strings.Contains(metrics, "sluice_config_conditions{severity=\"error\"} 1\n") {
		t.Error("the metrics do not count it")
	}
	_, body := fetch(t, "http://"+s.Admin+"/config_dump")
	var d admin.Dump
	if err := json.Unmarshal([]byte(body), &d); err != nil || len(d.Conditions) != 1 || d.Conditions[0].Kind != "Listener" {
		t.Errorf("%v: %s", err, body)
	}
}

func TestRunCannotStart(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"admin port taken":  {func(o *Options) { o.Admin = other.Addr().String() }, "choose another address with --admin"},
		"status port taken": {func(o *Options) { o.Status = other.Addr().String() }, "turn it off with --status="},
		"admin for all":     {func(o *Options) { o.Admin = "0.0.0.0:0" }, "not a loopback one"},
		"no access log":     {func(o *Options) { o.AccessLog = filepath.Join(t.TempDir(), "missing", "log") }, "access log"},
		"the source fails": {func(o *Options) {
			o.Source = func(context.Context, func(config.Delta)) error { return errors.New("disk on fire") }
		}, "disk on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := run(t, c.change)
			err := <-p.ended
			p.ended <- err
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestPortChangesProtocol: who has connected in plaintext to a port that wants TLS now comes anew,
// where he would be told with each request that there is no route.
func TestPortChangesProtocol(t *testing.T) {
	t.Parallel()
	p, s := serving(t, nil)
	c := dial(t, s.Address("a"))
	c.get(t, "/", "ok")
	secure := &router.Listener{Name: "a", Address: "127.0.0.1:0", Port: 80, Chains: []*router.Chain{{Name: "tls", ServerNames: []string{"*"}, Streams: []*router.StreamRoute{{
		Destinations: []router.Destination{{Cluster: "x"}},
	}}}}}
	before := s.Address("a")
	if s = p.set([]*router.Listener{secure}, origin(t, "x", text("ok"))); len(s.Conditions) > 0 || s.Address("a") != before {
		t.Errorf("at %s, which was %s: %v", s.Address("a"), before, s.Conditions)
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the connection: %v, want EOF", err)
	}
}
