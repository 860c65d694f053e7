package bookinfo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/test/leak"
	"sigs.k8s.io/yaml"
)

func TestMain(m *testing.M) { leak.Main(m) }

// start runs the application until the test ends.
func start(t *testing.T, o Options) *App {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	app, err := Start(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); app.Wait() })
	return app
}

// newClient returns a client with cookies and connections of its own.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Jar: jar}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestServices(t *testing.T) {
	t.Parallel()
	app := start(t, Options{})
	c := newClient(t)
	tests := []struct {
		workload Workload
		path     string
		status   int
		want     string
	}{
		{Workload{"productpage", "v1"}, "/health", 200, "Product page is healthy"},
		{Workload{"productpage", "v1"}, "/api/v1/products", 200, `"title":"The Comedy of Errors"`},
		{Workload{"productpage", "v1"}, "/api/v1/products/0", 200, `"author":"William Shakespeare"`},
		{Workload{"productpage", "v1"}, "/api/v1/products/0/reviews", 200, `"reviewer":"Reviewer1"`},
		{Workload{"productpage", "v1"}, "/api/v1/products/0/ratings", 200, `{"id":0,"ratings":{"Reviewer1":5,"Reviewer2":4}}`},
		{Workload{"productpage", "v1"}, "/api/v1/products/1", 404, `there is no product`},
		{Workload{"productpage", "v1"}, "/static/bookinfo.css", 200, "prefers-color-scheme"},
		{Workload{"productpage", "v1"}, "/static/nothing.css", 404, ""},
		{Workload{"productpage", "v1"}, "/static/", 404, ""},
		{Workload{"productpage", "v1"}, "/nothing", 404, ""},
		{Workload{"details", "v1"}, "/health", 200, `{"status":"Details is healthy"}`},
		{Workload{"details", "v1"}, "/details/7", 200, `{"id":7,"author":"William Shakespeare","year":1595,"type":"paperback","pages":200,"publisher":"PublisherA","language":"English","ISBN-10":"1234567890","ISBN-13":"123-1234567890"}`},
		{Workload{"details", "v1"}, "/details/x", 400, `{"error":`},
		{Workload{"reviews", "v1"}, "/health", 200, `{"status":"Reviews is healthy"}`},
		{Workload{"reviews", "v1"}, "/reviews/0", 200, `{"id":"0","podname":"reviews-v1","clustername":"null","reviews":[`},
		{Workload{"reviews", "v2"}, "/reviews/0", 200, `"rating":{"stars":5,"color":"black"}`},
		{Workload{"reviews", "v3"}, "/reviews/0", 200, `"rating":{"stars":4,"color":"red"}`},
		{Workload{"reviews", "v3"}, "/reviews/x", 400, `{"error":`},
		{Workload{"ratings", "v1"}, "/health", 200, `{"status":"Ratings is healthy"}`},
		{Workload{"ratings", "v1"}, "/ratings/0", 200, `{"id":0,"ratings":{"Reviewer1":5,"Reviewer2":4}}`},
		{Workload{"ratings", "v1"}, "/ratings/x", 400, `{"error":`},
	}
	for _, tt := range tests {
		status, body := get(t, c, app.URL(tt.workload)+tt.path)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s\nwant %d and %s", tt.workload, tt.path, status, body, tt.status, tt.want)
		}
	}
	if _, body := get(t, c, app.URL(Workload{"reviews", "v1"})+"/reviews/0"); strings.Contains(body, "rating") {
		t.Errorf("reviews v1 has ratings: %s", body)
	}
	if got := app.URL(Workload{"reviews", "v9"}); got != "" {
		t.Errorf("URL of what does not exist: %q", got)
	}
}

func TestPageShowsTheVersionsInTurn(t *testing.T) {
	t.Parallel()
	app := start(t, Options{})
	c := newClient(t)
	seen := map[string]int{}
	for range 6 {
		status, body := get(t, c, app.URL(Workload{"productpage", "v1"})+"/productpage")
		if status != 200 || !strings.Contains(body, "<title>Simple Bookstore App</title>") || !strings.Contains(body, "PublisherA") {
			t.Fatalf("%d %s", status, body)
		}
		for _, w := range Workloads() {
			if strings.Contains(body, "<code>"+w.String()+"</code>") {
				seen[w.String()]++
			}
		}
		black, red := strings.Count(body, `class="stars black"`), strings.Count(body, `class="stars red"`)
		want := [2]int{}
		switch {
		case strings.Contains(body, "reviews-v2"):
			want[0] = 2
		case strings.Contains(body, "reviews-v3"):
			want[1] = 2
		}
		if [2]int{black, red} != want {
			t.Errorf("%d black and %d red ratings, want %v in\n%s", black, red, want, body)
		}
		if lit := strings.Count(body, `class="star"`); black+red > 0 && lit != 5+4 {
			t.Errorf("%d stars are lit, want 9", lit)
		}
	}
	if seen["reviews-v1"] == 0 || seen["reviews-v2"] == 0 || seen["reviews-v3"] == 0 {
		t.Errorf("versions seen: %v", seen)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	// Every call is recorded on its way to the application's own endpoints.
	var mu sync.Mutex
	asked := map[string]http.Header{}
	services := recorder(t, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path] = r.Header.Clone()
	})
	page := serve(t, Workload{"productpage", "v1"}, Peers{Details: services, Reviews: services, Ratings: services})
	c := newClient(t)

	_, body := get(t, c, page+"/productpage")
	if !strings.Contains(body, "Sign in") || asked["/reviews/0"].Get("End-User") != "" {
		t.Fatalf("before signing in: end-user %q, page\n%s", asked["/reviews/0"].Get("End-User"), body)
	}
	res, err := c.PostForm(page+"/login", url.Values{"username": {"jason"}, "passwd": {"any"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Request.URL.Path != "/productpage" {
		t.Fatalf("signing in leads to %d %s", res.StatusCode, res.Request.URL)
	}
	_, body = get(t, c, page+"/productpage")
	if !strings.Contains(body, "<strong>jason</strong>") {
		t.Errorf("the page does not say who signed in:\n%s", body)
	}
	for _, path := range []string{"/details/0", "/reviews/0"} {
		if got := asked[path].Get("End-User"); got != "jason" {
			t.Errorf("end-user to %s: %q", path, got)
		}
	}
	_, body = get(t, c, page+"/logout")
	if !strings.Contains(body, "Sign in") || asked["/reviews/0"].Get("End-User") != "" {
		t.Errorf("after signing out: end-user %q, page\n%s", asked["/reviews/0"].Get("End-User"), body)
	}
	for _, name := range []string{"", "  ", "a\nb", "jörg", strings.Repeat("x", 65)} {
		res, err := c.PostForm(page+"/login", url.Values{"username": {name}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 400 {
			t.Errorf("signing in as %q: %d", name, res.StatusCode)
		}
	}
	// Whatever a cookie holds, no page breaks and no header is forged.
	req, _ := http.NewRequest("GET", page+"/productpage", nil)
	req.Header.Set("Cookie", "session=a%0d%0ax-evil%3a1")
	res, err = newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || asked["/reviews/0"].Get("End-User") != "" {
		t.Errorf("forged cookie: %d, end-user %q", res.StatusCode, asked["/reviews/0"].Get("End-User"))
	}
	// A name is text, not markup.
	req.Header.Set("Cookie", "session=%3Cb%3Ex%3C%2Fb%3E")
	res, err = newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !strings.Contains(string(b), "&lt;b&gt;x&lt;/b&gt;") {
		t.Errorf("name is not escaped:\n%s", b)
	}
}

func TestTracingHeadersGoAlong(t *testing.T) {
	t.Parallel()
	sent := http.Header{
		"X-Request-Id": {"r"}, "X-B3-Traceid": {"t"}, "X-B3-Spanid": {"s"}, "X-B3-Parentspanid": {"p"}, "X-B3-Sampled": {"1"}, "X-B3-Flags": {"0"},
		"B3": {"t-s"}, "Traceparent": {"00-t-s-01"}, "Tracestate": {"a=1"}, "X-Ot-Span-Context": {"o"}, "X-Cloud-Trace-Context": {"c"},
		"Grpc-Trace-Bin": {"g"}, "Sw8": {"1"}, "X-Datadog-Trace-Id": {"1"}, "X-Datadog-Parent-Id": {"2"}, "X-Datadog-Sampling-Priority": {"1"},
		"End-User": {"jason"}, "User-Agent": {"test/1"},
	}
	for _, w := range []Workload{{"productpage", "v1"}, {"reviews", "v2"}, {"reviews", "v3"}} {
		var mu sync.Mutex
		asked := map[string]http.Header{}
		services := recorder(t, func(r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked[r.URL.Path] = r.Header.Clone()
		})
		base := serve(t, w, Peers{Details: services, Reviews: services, Ratings: services})
		path := map[string]string{"productpage": "/productpage", "reviews": "/reviews/0"}[w.App]
		req, _ := http.NewRequest("GET", base+path, nil)
		req.Header = sent.Clone()
		req.Header.Set("X-Other", "stays here")
		res, err := newClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(asked) == 0 {
			t.Errorf("%s asked nobody", w)
		}
		for path, got := range asked {
			got.Del("Accept-Encoding") // the client's own
			if !reflect.DeepEqual(got, sent) {
				t.Errorf("%s to %s:\n%v\nwant\n%v", w, path, got, sent)
			}
		}
	}
}

func TestFailuresArePolite(t *testing.T) {
	t.Parallel()
	ok := recorder(t, func(*http.Request) {})
	var mu sync.Mutex
	tries := map[string]int{}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tries[r.URL.Path]++
		mu.Unlock()
		w.WriteHeader(503)
	}))
	t.Cleanup(broken.Close)

	t.Run("details", func(t *testing.T) {
		page := serve(t, Workload{"productpage", "v1"}, Peers{Details: broken.URL, Reviews: ok})
		status, body := get(t, newClient(t), page+"/productpage")
		if status != 200 || !strings.Contains(body, "Error fetching product details!") || strings.Contains(body, "Error fetching product reviews!") {
			t.Errorf("%d\n%s", status, body)
		}
		if tries["/details/0"] != 1 {
			t.Errorf("details was asked %d times", tries["/details/0"])
		}
		if status, body = get(t, newClient(t), page+"/api/v1/products/0"); status != 503 || !strings.Contains(body, "currently unavailable") {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("reviews, after a second try", func(t *testing.T) {
		page := serve(t, Workload{"productpage", "v1"}, Peers{Details: ok, Reviews: broken.URL})
		status, body := get(t, newClient(t), page+"/productpage")
		if status != 200 || !strings.Contains(body, "Error fetching product reviews!") || strings.Contains(body, "Error fetching product details!") {
			t.Errorf("%d\n%s", status, body)
		}
		if tries["/reviews/0"] != 2 {
			t.Errorf("reviews was asked %d times", tries["/reviews/0"])
		}
	})
	t.Run("reviews, too slow", func(t *testing.T) {
		release := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		t.Cleanup(func() { close(release); slow.Close() })
		page := serve(t, Workload{"productpage", "v1"}, Peers{Details: ok, Reviews: slow.URL, PageTimeout: 20 * time.Millisecond})
		if status, body := get(t, newClient(t), page+"/productpage"); status != 200 || !strings.Contains(body, "Error fetching product reviews!") {
			t.Errorf("%d\n%s", status, body)
		}
		if status, body := get(t, newClient(t), page+"/api/v1/products/0/reviews"); status != 500 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("ratings", func(t *testing.T) {
		reviews := serve(t, Workload{"reviews", "v2"}, Peers{Ratings: broken.URL})
		page := serve(t, Workload{"productpage", "v1"}, Peers{Details: ok, Reviews: reviews, Ratings: broken.URL})
		_, body := get(t, newClient(t), page+"/productpage")
		if strings.Count(body, ratingsUnavailable) != 2 || strings.Contains(body, `class="star"`) {
			t.Errorf("page without ratings:\n%s", body)
		}
		if status, _ := get(t, newClient(t), page+"/api/v1/products/0/ratings"); status != 503 {
			t.Errorf("ratings by way of the page: %d", status)
		}
	})
}

// Every call goes through the dialer given, with the name and port that a proxy sees.
func TestDial(t *testing.T) {
	t.Parallel()
	type call struct {
		from Workload
		to   string
	}
	var mu sync.Mutex
	dialled := map[call]bool{}
	var app *App
	ready := make(chan struct{})
	app = start(t, Options{Dial: func(ctx context.Context, from Workload, authority string) (net.Conn, error) {
		<-ready
		mu.Lock()
		dialled[call{from, authority}] = true
		mu.Unlock()
		if authority == "reviews:9080" {
			for _, e := range app.Endpoints() {
				if e.Workload == (Workload{"reviews", "v3"}) {
					var d net.Dialer
					return d.DialContext(ctx, "tcp", e.Address.String())
				}
			}
		}
		return app.dialDirect(ctx, from, authority)
	}})
	close(ready)
	if _, body := get(t, newClient(t), app.URL(Workload{"productpage", "v1"})+"/productpage"); !strings.Contains(body, "<code>reviews-v3</code>") {
		t.Errorf("page:\n%s", body)
	}
	want := map[call]bool{
		{Workload{"productpage", "v1"}, "details:9080"}: true,
		{Workload{"productpage", "v1"}, "reviews:9080"}: true,
		{Workload{"reviews", "v3"}, "ratings:9080"}:     true,
	}
	if !reflect.DeepEqual(dialled, want) {
		t.Errorf("dialled %v, want %v", dialled, want)
	}
}

func TestNewHandlerKnowsItsVersions(t *testing.T) {
	t.Parallel()
	for _, w := range Workloads() {
		if _, err := NewHandler(w, Peers{}); err != nil {
			t.Error(err)
		}
	}
	_, err := NewHandler(Workload{"reviews", "v4"}, Peers{})
	if err == nil || !strings.Contains(err.Error(), `"reviews" in version "v4"`) {
		t.Errorf("error %v", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	app, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	app.Wait()
	for _, e := range app.Endpoints() {
		if c, err := net.Dial("tcp", e.Address.String()); err == nil {
			c.Close()
			t.Errorf("%s still listens", e.Workload)
		}
	}
}

// recorder runs a service that answers well to all paths of the application.
func recorder(t *testing.T, record func(*http.Request)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record(r)
		switch app, _, _ := strings.Cut(r.URL.Path[1:], "/"); app {
		case "details":
			_ = json.NewEncoder(w).Encode(bookDetails{Author: "A"})
		case "reviews":
			_ = json.NewEncoder(w).Encode(bookReviews{Podname: "reviews-test"})
		case "ratings":
			fmt.Fprint(w, `{"id":0,"ratings":{"Reviewer1":1}}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// serve runs one workload with the peers given.
func serve(t *testing.T, w Workload, p Peers) string {
	t.Helper()
	tr := &http.Transport{}
	p.Client = &http.Client{Transport: tr}
	h, err := NewHandler(w, p)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.Close(); tr.CloseIdleConnections() })
	return s.URL
}

func TestManifests(t *testing.T) {
	t.Parallel()
	app := start(t, Options{})
	text, err := app.Manifests()
	if err != nil {
		t.Fatal(err)
	}
	// What a reader of the manifests learns about where each workload listens.
	type meta struct {
		Name, Namespace string
		Labels          map[string]string
	}
	var services int
	pods := map[string]meta{}
	got := map[string]string{}
	for _, doc := range strings.Split(string(text), "\n---\n")[1:] {
		var o struct {
			Kind     string
			Metadata meta
			Ports    []struct {
				Name string
				Port int
			}
			Endpoints []struct {
				Addresses []string
				TargetRef meta
			}
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		switch o.Kind {
		case "Service":
			services++
		case "Pod":
			pods[o.Metadata.Name] = o.Metadata
		case "EndpointSlice":
			pod := pods[o.Endpoints[0].TargetRef.Name]
			if o.Metadata.Labels["kubernetes.io/service-name"] != pod.Labels["app"] {
				t.Errorf("%s is of service %q, its pod of %q", o.Metadata.Name, o.Metadata.Labels, pod.Labels)
			}
			w := Workload{pod.Labels["app"], pod.Labels["version"]}
			got[w.String()] = fmt.Sprintf("http://%s:%d", o.Endpoints[0].Addresses[0], o.Ports[0].Port)
		}
	}
	want := map[string]string{}
	for _, w := range Workloads() {
		want[w.String()] = app.URL(w)
	}
	if services != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d services, endpoints %v, want 4 and %v", services, got, want)
	}
}

// TestLinger: what is to end goes on for as long as was said, and not a moment longer.
func TestLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		later := Linger(ctx, time.Second)
		time.Sleep(time.Hour)
		end()
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if later.Err() != nil {
			t.Error("it ended at once")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if later.Err() == nil {
			t.Error("it has not ended")
		}
	})
}
