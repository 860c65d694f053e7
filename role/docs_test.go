package role

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluicegate/sluice/router"
)

// TestDocumentedPages: the admin server's page in the documents has all that the server
// has, and no more; and so has the page of metrics.
func TestDocumentedPages(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/admin.md")
	if err != nil {
		t.Fatal(err)
	}
	described, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, func(o *Options) { o.AccessLog = os.DevNull })
	listener := mirrored("a", "x", "y")
	listener.Tables[0].VirtualHosts[0].Routes[0].CORS = &router.CORS{}
	s := p.set([]*router.Listener{listener}, origin(t, "x", text("ok")), origin(t, "y", text("ok")))
	fetch(t, "http://"+s.Address("a")+"/")
	fetch(t, "http://"+s.Address("a")+"/a%2fb") // refused
	crossOrigin(t, "http://"+s.Address("a")+"/")

	_, index := fetch(t, "http://"+s.Admin+"/")
	pages := find(index, `(?m)^  (/\S+)`)
	if got := find(string(page), "(?m)^\\| `(/[^`]*)` \\|"); !slices.Equal(without(got, "/", "/healthz/live", "/healthz/ready"), pages) {
		t.Errorf("documented pages are %q, want %q", got, pages)
	}
	p.metrics("sluice_mirror_active")
	metrics := p.metrics("sluice_rejected_requests_total")
	series := find(metrics, `(?m)^# TYPE ((?:sluice|envoy)_\w+)`)
	if got := find(string(described), "`((?:sluice|envoy)_\\w+)[`{]"); !slices.Equal(got, series) {
		t.Errorf("documented metrics are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(series, "\n"))
	}
	types := find(metrics, `(?m)^# TYPE (envoy_\w+ \w+)`)
	if got := find(strings.ReplaceAll(string(described), "` | ", " "), "`(envoy_\\w+ (?:counter|gauge))"); !slices.Equal(got, types) {
		t.Errorf("documented types are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(types, "\n"))
	}
}

// TestMetricsAreClean: Prometheus' own linter finds nothing, but for Envoy's names of
// counters and of membership_total, which are what operators look for. Series of a cluster
// that is gone are gone too.
func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	p := run(t, nil)
	x, y := origin(t, "x", text("ok")), origin(t, "y", text("ok"))
	s := p.set([]*router.Listener{mirrored("a", "x", "y")}, x, y)
	fetch(t, "http://"+s.Address("a")+"/")
	metrics := p.metrics(`sluice_mirror_requests_total{cluster="y",result="success"} 1`)
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if !strings.HasPrefix(problem.Metric, "envoy_cluster_") || !strings.Contains(problem.Text, `"_total" suffix`) {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	if want := `envoy_cluster_upstream_rq_total{cluster_name="x"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("no %s", want)
	}
	p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, x)
	if metrics = p.metrics("sluice_requests_total"); strings.Contains(metrics, `"y"`) {
		t.Error("there are series of a cluster that is gone")
	}
}

// crossOrigin asks for a URL as a page of another origin does.
func crossOrigin(t *testing.T, url string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://other.example")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// mirrored is a listener that forwards everything to one cluster, and copies to another.
func mirrored(name, cluster, mirror string) *router.Listener {
	l := to(name, "127.0.0.1:0", cluster)
	l.Tables[0].VirtualHosts[0].Routes[0].Mirrors = []router.Mirror{{Cluster: mirror, Fraction: router.AllTraffic}}
	return l
}

// find returns the matches of an expression's group, sorted, each once.
func find(text, expression string) []string {
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(names, s) })
}
