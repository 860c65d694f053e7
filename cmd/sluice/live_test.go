package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
)

// liveProxy serves the admin API of a gateway that runs a folder of testdata, and returns
// its address.
func liveProxy(t *testing.T, folder string) string {
	t.Helper()
	src, err := readSource([]string{"testdata/" + folder})
	if err != nil {
		t.Fatal(err)
	}
	var flags sourceFlags
	view, err := flags.view()
	if err != nil {
		t.Fatal(err)
	}
	spec := src.compile(view).Spec
	server := httptest.NewServer(admin.NewHandler(admin.Options{
		Info:   admin.Info{Role: "gateway"},
		Config: func() admin.Config { return admin.Config{Generation: 1, Spec: spec} },
		Listeners: func() []admin.Listener {
			return []admin.Listener{
				{Name: "0.0.0.0_80", Address: "0.0.0.0:80", Bound: true},
				{Name: "0.0.0.0_8080", Address: "0.0.0.0:8080", Error: "address already in use"},
			}
		},
		Certificates: func() []admin.Certificate {
			from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			return []admin.Certificate{
				{Name: "secret istio-system/shop", Subject: "CN=shop.example.com", Serial: "1", Names: []string{"shop.example.com", "*.example.com"}, NotBefore: from, NotAfter: from.AddDate(100, 0, 0)},
				{Name: "file /no/such/tls.crt", Subject: "CN=live", NotBefore: from, NotAfter: from.AddDate(100, 0, 0), Error: "no such file"},
			}
		},
		Clusters: func() []admin.Cluster {
			return []admin.Cluster{{
				Name: "outbound|80|v1|web.shop.svc.cluster.local",
				Endpoints: []admin.Endpoint{
					{Address: "10.0.0.1:8080", Healthy: true, Requests: 7},
				},
			}}
		},
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestLiveShowsWhatFilesShow compares the answers about a live proxy with those
// about its files, but for the lines of files, which it does not know, and the state that only it knows.
func TestLiveShowsWhatFilesShow(t *testing.T) {
	t.Parallel()
	for folder, commands := range map[string][][]string{"shop": {
		{"pc", "listeners"},
		{"pc", "routes", "--host", "shop.example.com"},
		{"pc", "clusters", "--fqdn", "web"},
		{"pc", "endpoints"},
		{"explain", "http://shop.example.com/cart/1", "-H", "end-user: jason"},
		{"explain", "http://shop.example.com/nothing"},
		{"explain", "http://secure.example.com:8080/"},
		{"explain", "http://shop.example.com:81/"},
	}, "secure": {
		{"pc", "listeners"},
		{"pc", "routes"},
		{"pc", "secrets", "--name", "istio-system"},
		{"explain", "https://shop.example.com/api"},
		{"explain", "https://shop.example.com/api", "--sni", "x.example.com"},
		{"explain", "https://mail.example.com/", "--sni", "shop.example.com"},
		{"explain", "tls://mail.example.com"},
		{"explain", "tcp://10.0.0.1:6379"},
	}} {
		address := liveProxy(t, folder)
		for _, args := range commands {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				status, live, stderr := invoke(append(args, "-o", "json", "--admin", address)...)
				if status != exitOK {
					t.Fatalf("exited %d: %s", status, stderr)
				}
				_, files, _ := invoke(append(args, "-o", "json", "--config", "testdata/"+folder)...)
				if want := withoutPlaces(t, files); !reflect.DeepEqual(withoutPlaces(t, live), want) {
					t.Errorf("live:\n%s\nfiles:\n%s", live, files)
				}
				if len(files) < 10 {
					t.Errorf("nothing was printed: %q", files)
				}
			})
		}
	}
}

// withoutPlaces decodes JSON and removes files, lines and live state.
func withoutPlaces(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "file")
			delete(v, "line")
			delete(v, "live")
			for _, child := range v {
				strip(child)
			}
		case []any:
			for _, child := range v {
				strip(child)
			}
		}
	}
	strip(value)
	return value
}

func TestLiveState(t *testing.T) {
	t.Parallel()
	addresses := map[string]string{"shop": liveProxy(t, "shop"), "secure": liveProxy(t, "secure")}
	for _, test := range []struct{ folder, noun, want string }{
		{"shop", "listeners", "0.0.0.0:80    80    ALL    Route: http.80    1              bound"},
		{"shop", "listeners", "not bound: address already in use"},
		{"shop", "endpoints", "10.0.0.1:8080  healthy  outbound|80|v1|web.shop.svc.cluster.local"},
		{"shop", "endpoints", "10.0.0.2:8080  -        outbound|80|v2|web.shop.svc.cluster.local"},
		{"secure", "secrets", "istio-system/shop      Secret  Cert Chain  CN=shop.example.com  2020-01-01T00:00:00Z  2120-01-01T00:00:00Z  true"},
		{"secure", "secrets", "CN=live              2020-01-01T00:00:00Z  2120-01-01T00:00:00Z  true: an older version serves: no such file"},
	} {
		status, out, stderr := invoke("pc", test.noun, "--admin", addresses[test.folder])
		if status != exitOK || !strings.Contains(out, test.want) {
			t.Errorf("%s lacks %q: %s%s", test.noun, test.want, out, stderr)
		}
	}
}

// TestExplainLive: a live proxy's endpoints are told of as they are.
func TestExplainLive(t *testing.T) {
	t.Parallel()
	v := liveViewOf(&admin.Cluster{
		Endpoints: []admin.Endpoint{
			{Address: "10.0.0.1:80", Healthy: true, Share: 66.7, Active: 2, Open: 1, Requests: 9, Failures: 1, Warming: true},
			{Address: "10.0.0.2:80", EjectedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local), Ejection: "5 times 5xx"},
		},
		Stats: []admin.Stat{{Name: "upstream_cx_active", Value: 1}, {Name: "upstream_rq_active", Value: 2}, {Name: "upstream_rq_pending_active", Value: 3}, {Name: "circuit_breakers.default.rq_open", Value: 1}, {Name: "circuit_breakers.default.cx_open"}},
	})
	for i := range 9 {
		v.Endpoints = append(v.Endpoints, admin.Endpoint{Address: strings.Repeat("x", i+1), Healthy: true})
	}
	var out strings.Builder
	v.write(&out, painter{})
	for _, want := range []string{
		"10.0.0.1:80  gets 67%, warming up", "2 in progress, 1 connection, 9 requests (1 failed)\n", "10.0.0.2:80  out of use since 03:04:05: 5 times 5xx",
		"and 3 more\n", "pool now: 1 connection, 2 requests in progress, 3 waiting\n", "circuit breakers are open: rq\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestLiveProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"not an admin server": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }, "not what a Sluice admin server answers"},
		"an error":            {http.NotFound, "404"},
		"no configuration":    {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"role":"gateway","spec":null}`)) }, "no configuration yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.handler)
			defer server.Close()
			status, _, stderr := invoke("pc", "routes", "--admin", strings.TrimPrefix(server.URL, "http://"))
			if status != exitFailed || !strings.Contains(stderr, test.want) {
				t.Errorf("exited %d: %s", status, stderr)
			}
		})
	}
}
