package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/version"
)

// options are those of a gateway with one listener and two routes.
func options(t *testing.T) Options {
	t.Helper()
	spec := &router.Spec{
		Listeners: []*router.Listener{{
			Name: "0.0.0.0_8080", Port: 8080,
			Tables: []*router.RouteTable{{Name: "http.80", Port: 80, VirtualHosts: []*router.VirtualHost{{
				Name: "bookinfo.example.com:80", Domains: []string{"bookinfo.example.com"},
				Routes: []*router.Route{
					{
						Object:      &router.Object{Kind: "VirtualService", Namespace: "default", Name: "bookinfo"},
						Field:       "http[0].match[0]",
						Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/v2"}},
						RouteAction: &router.RouteAction{Name: "canary", Destinations: []router.Destination{{Cluster: "outbound|9080|v2|productpage", Weight: 90}, {Cluster: "outbound|9080||gone", Weight: 10}}},
					},
					{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: "/"}}, RouteAction: &router.RouteAction{Redirect: &router.Redirect{Status: 301, Path: "/productpage"}}},
				},
			}}}},
		}},
		Clusters: []*router.Cluster{{Name: "outbound|9080|v2|productpage"}},
	}
	table, _ := router.Build(spec, nil)
	return Options{
		Info:  Info{Role: "gateway", Version: version.Info{Version: "v1.2.3"}, Started: time.Now(), Labels: map[string]string{"istio": "ingressgateway"}},
		Ready: func() error { return nil },
		Config: func() Config {
			return Config{Generation: 4, Spec: spec, Conditions: []config.Condition{{
				Severity: config.Warning, Reason: "HostNotFound", Field: "http[0].route[1].destination.host", Message: "no such host",
				Object: config.Key{Kind: "VirtualService", Namespace: "default", Name: "bookinfo"}, File: "bookinfo.yaml", Line: 12,
			}}}
		},
		Table: func() *router.Table { return table },
		Listeners: func() []Listener {
			return []Listener{{Name: "0.0.0.0_8080", Address: "127.0.0.1:8080", Bound: true, Connections: 3}, {Name: "0.0.0.0_80", Address: "0.0.0.0:80", Error: "permission denied"}}
		},
		Clusters: func() []Cluster {
			return []Cluster{{
				Name: "outbound|9080|v2|productpage", Balancer: "RANDOM", Stats: []Stat{{"upstream_rq_pending_overflow", 6}},
				Endpoints: []Endpoint{
					{Address: "127.0.0.1:9080", Healthy: true, Active: 1, Idle: 2, Open: 3, Requests: 30, Failures: 4, Locality: "eu/a"},
					{Address: "127.0.0.1:9081", Ejections: 1},
				},
			}, {Name: "empty"}}
		},
		Routed: func(r *router.Request) error {
			if strings.Contains(r.Path, "%2f") {
				return errors.New("the proxy answers 400 to this path")
			}
			r.Path = strings.Replace(r.Path, "/v1/../", "/", 1)
			return nil
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "sluice_up 1\n") }),
	}
}

// ask sends a request to a handler, by default with a Host as curl has it.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:15000"
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := NewHandler(everything(t))
	for target, want := range map[string][]string{
		"/":                      {"Sluice gateway v1.2.3", "/config_dump", "/stats/prometheus"},
		"/listeners":             {"0.0.0.0_8080  127.0.0.1:8080  bound", "not bound: permission denied"},
		"/listeners?format=json": {`"connections": 3`, `"error": "permission denied"`},
		"/routes":                {`prefix "/v2"`, "outbound|9080|v2|productpage (90)", "redirect 301", "VirtualService default/bookinfo http[0].match[0]"},
		"/clusters": {
			"\noutbound|9080|v2|productpage::127.0.0.1:9080::cx_active::3\n", "productpage::upstream_rq_pending_overflow::6\n",
			"productpage::balancer::RANDOM\n", "9080::rq_error::4\n", "9080::region::eu\n", "9080::zone::a\n", "9080::sub_zone::\n",
			"9080::health_flags::healthy\n", "9081::health_flags::/failed_outlier_check\n", "empty::balancer::",
		},
		"/clusters?format=sluice":   {`"requests": 30`, `"upstream_rq_pending_overflow"`, `"open": 3`},
		"/clusters?format=json":     {`"cluster_statuses"`, `"port_value": 9080`, `"failed_outlier_check": true`, `"value": "30"`},
		"/conditions":               {"Warning HostNotFound bookinfo.yaml:12: VirtualService default/bookinfo: http[0].route[1].destination.host: no such host"},
		"/conditions?format=json":   {`"kind": "VirtualService"`, `"line": 12`},
		"/ready":                    {"ready"},
		"/server_info":              {`"role": "gateway"`, `"state": "LIVE"`, `"istio": "ingressgateway"`},
		"/stats/prometheus":         {"sluice_up 1"},
		"/debug/pprof/":             {"goroutine"},
		"/debug/pprof/cmdline":      {"admin.test"},
		"/debug/pprof/heap?debug=1": {"heap profile"},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			w := ask(h, "GET", target, "")
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			for _, s := range want {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("no %q in\n%s", s, w.Body)
				}
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins may read it")
			}
		})
	}
}

// TestConfigDump: what is dumped reads back as what was served.
func TestConfigDump(t *testing.T) {
	t.Parallel()
	o := options(t)
	w := ask(NewHandler(o), "GET", "/config_dump", "")
	var d Dump
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Role != "gateway" || d.Generation != 4 || len(d.Conditions) != 1 || d.Conditions[0].Name != "bookinfo" || d.Conditions[0].Reason != "HostNotFound" {
		t.Errorf("got %+v", d)
	}
	again, _ := json.Marshal(d.Spec)
	want, _ := json.Marshal(o.Config().Spec)
	if string(again) != string(want) {
		t.Errorf("the spec reads back as\n%s\nwant\n%s", again, want)
	}
}

func TestIndexPage(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Info.Role = `<script>alert(1)</script>`
	w := ask(NewHandler(o), "GET", "/", "", "Accept", "text/html")
	body := w.Body.String()
	if !strings.Contains(body, `<a href="/explain">`) && !strings.Contains(body, `href="/config_dump"`) {
		t.Errorf("no links in\n%s", body)
	}
	if strings.Contains(body, "<script>") {
		t.Error("text became a script")
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	h := NewHandler(options(t))
	for name, c := range map[string]struct {
		method, target, body string
		outcome              router.Outcome
		listener             string
	}{
		"by url":         {"GET", "/explain?url=http://bookinfo.example.com/v2/x", "", router.Forward, "0.0.0.0_8080"},
		"no scheme":      {"GET", "/explain?url=bookinfo.example.com/", "", router.Redirected, "0.0.0.0_8080"},
		"dot segments":   {"GET", "/explain?url=http://bookinfo.example.com/v1/../v2/x", "", router.Forward, "0.0.0.0_8080"},
		"by port":        {"GET", "/explain?url=http://bookinfo.example.com/v2&port=8080", "", router.Forward, "0.0.0.0_8080"},
		"by Host":        {"GET", "/explain?url=http://127.0.0.1/v2&header=Host:+bookinfo.example.com", "", router.Forward, "0.0.0.0_8080"},
		"no such route":  {"GET", "/explain?url=http://bookinfo.example.com/nothing", "", router.NotFound, "0.0.0.0_8080"},
		"no such host":   {"GET", "/explain?url=http://example.org/", "", router.NotFound, "0.0.0.0_8080"},
		"other listener": {"GET", "/explain?url=http://example.org/&listener=x", "", router.NoListener, "x"},
		"JSON":           {"POST", "/explain", `{"url":"http://bookinfo.example.com/v2","headers":["a: b"]}`, router.Forward, "0.0.0.0_8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(h, c.method, c.target, c.body)
			var a Answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
				t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
			}
			if a.Outcome != c.outcome.String() || a.Query.Listener != c.listener {
				t.Errorf("got %s on %s: %s", a.Outcome, a.Query.Listener, w.Body)
			}
		})
	}
}

// TestExplainSidecar: a sidecar's tables are chosen by the port in the Host.
func TestExplainSidecar(t *testing.T) {
	t.Parallel()
	table := func(port uint16) *router.RouteTable {
		return &router.RouteTable{Name: strconv.Itoa(int(port)), Port: port, VirtualHosts: []*router.VirtualHost{{Domains: []string{"reviews"}}}}
	}
	built, _ := router.Build(&router.Spec{Listeners: []*router.Listener{{Name: "outbound", Tables: []*router.RouteTable{table(9080), table(80)}}}}, nil)
	o := options(t)
	o.Info.Role = "sidecar"
	o.Table = func() *router.Table { return built }
	o.Listeners = func() []Listener { return []Listener{{Name: "outbound", Address: "127.0.0.1:15001", Bound: true}} }
	h := NewHandler(o)
	for target, want := range map[string]string{
		"/explain?url=http://reviews:9080/":                                     "9080",
		"/explain?url=http://127.0.0.1:15001/&header=host:reviews:9080":         "9080",
		"/explain?url=http://127.0.0.1:15001/&header=host:reviews:9080&port=80": "80",
		"/explain?url=http://reviews/":                                          "80",
	} {
		var a Answer
		w := ask(h, "GET", target, "")
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Table != want || a.VirtualHost != "" && a.Outcome != "NotFound" {
			t.Errorf("%s: table %q, want %q (%v): %s", target, a.Table, want, err, w.Body)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Ready = func() error { return errors.New("draining") }
	h := NewHandler(o)
	o.Table = func() *router.Table { return nil }
	early := NewHandler(o)
	for name, c := range map[string]struct {
		h                    http.Handler
		method, target, body string
		status               int
		detail               string
	}{
		"no such page":    {h, "GET", "/nothing", "", 404, "/ lists those"},
		"wrong method":    {h, "POST", "/config_dump", "", 405, "GET"},
		"not ready":       {h, "GET", "/ready", "", 503, "draining"},
		"no url":          {h, "GET", "/explain", "", 400, "say which url"},
		"bad url":         {h, "GET", "/explain?url=http://%25zz/", "", 400, "cannot be read"},
		"bad scheme":      {h, "GET", "/explain?url=ftp://a/", "", 400, "http://host/path"},
		"bad port":        {h, "GET", "/explain?url=a&port=65536", "", 400, "port number"},
		"bad header":      {h, "GET", "/explain?url=a&header=x", "", 400, "name: value"},
		"header injected": {h, "GET", "/explain?url=a&header=x:+a%0d%0ab:c", "", 400, "name: value"},
		"refused path":    {h, "GET", "/explain?url=http://bookinfo.example.com/a%252fb", "", 400, "answers 400"},
		"bad JSON":        {h, "POST", "/explain", "{", 400, "not a question"},
		"unknown field":   {h, "POST", "/explain", `{"uri":"x"}`, 400, "uri"},
		"too much JSON":   {h, "POST", "/explain", `{"url":"` + strings.Repeat("x", maxQuery) + `"}`, 400, "too large"},
		"no table yet":    {early, "GET", "/explain?url=a", "", 503, "no configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(c.h, c.method, c.target, c.body)
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || p.Status != c.status || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("got %d: %+v", w.Code, p)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

// TestBeforeConfiguration: every page answers before there is a configuration.
func TestBeforeConfiguration(t *testing.T) {
	t.Parallel()
	h := NewHandler(Options{
		Ready:     func() error { return errors.New("no configuration yet") },
		Config:    func() Config { return Config{} },
		Table:     func() *router.Table { return nil },
		Listeners: func() []Listener { return nil },
		Clusters:  func() []Cluster { return nil },
	})
	for _, target := range []string{"/", "/config_dump", "/listeners", "/routes", "/clusters", "/conditions", "/server_info", "/routes?format=json", "/clusters?format=sluice"} {
		if w := ask(h, "GET", target, ""); w.Code != 200 || strings.Contains(target, "format") && strings.TrimSpace(w.Body.String()) != "[]" {
			t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
		}
	}
	if w := ask(h, "GET", "/stats/prometheus", ""); w.Code != 404 {
		t.Errorf("metrics that there are not: status %d", w.Code)
	}
}
