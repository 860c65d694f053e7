package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/admin"
)

// liveProxy serves the admin API of a gateway that runs testdata/shop, and returns
// its address.
func liveProxy(t *testing.T) string {
	t.Helper()
	src, err := readSource([]string{"testdata/shop"})
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
	address := liveProxy(t)
	for _, args := range [][]string{
		{"pc", "listeners"},
		{"pc", "routes", "--host", "shop.example.com"},
		{"pc", "clusters", "--fqdn", "web"},
		{"pc", "endpoints"},
		{"explain", "http://shop.example.com/cart/1", "-H", "end-user: jason"},
		{"explain", "http://shop.example.com/nothing"},
		{"explain", "http://secure.example.com:8080/"},
		{"explain", "http://shop.example.com:81/"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			status, live, stderr := invoke(append(args, "-o", "json", "--admin", address)...)
			if status != exitOK {
				t.Fatalf("exited %d: %s", status, stderr)
			}
			_, files, _ := invoke(append(args, "-o", "json", "--config", "testdata/shop")...)
			if want := withoutPlaces(t, files); !reflect.DeepEqual(withoutPlaces(t, live), want) {
				t.Errorf("live:\n%s\nfiles:\n%s", live, files)
			}
			if len(files) < 10 {
				t.Errorf("nothing was printed: %q", files)
			}
		})
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
	address := liveProxy(t)
	for _, test := range []struct{ noun, want string }{
		{"listeners", "0.0.0.0:80    80    http.80       1              bound"},
		{"listeners", "not bound: address already in use"},
		{"endpoints", "10.0.0.1:8080  healthy  outbound|80|v1|web.shop.svc.cluster.local"},
		{"endpoints", "10.0.0.2:8080  -        outbound|80|v2|web.shop.svc.cluster.local"},
	} {
		status, out, stderr := invoke("pc", test.noun, "--admin", address)
		if status != exitOK || !strings.Contains(out, test.want) {
			t.Errorf("%s lacks %q: %s%s", test.noun, test.want, out, stderr)
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
