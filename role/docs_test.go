package role

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluicegate/sluice/proxy"
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
	p := run(t, func(o *Options) { o.AccessLog, o.LogLevel = os.DevNull, &slog.LevelVar{} })
	listener := mirrored("a", "x", "y")
	listener.Tables[0].VirtualHosts[0].Routes[0].Policy.CORS = &router.CORS{}
	s := p.set([]*router.Listener{listener, secure(t)}, origin(t, "x", text("ok")), origin(t, "y", text("ok")))
	fetch(t, "http://"+s.Address("a")+"/")
	fetch(t, "http://"+s.Address("a")+"/a%2fb") // refused
	crossOrigin(t, "http://"+s.Address("a")+"/")

	_, index := fetch(t, "http://"+s.Admin+"/")
	pages := find(index, `(?m)^  (/\S+)`)
	if got := find(string(page), "(?m)^\\| `(/[^`]*)` \\|"); !slices.Equal(without(got, "/", "/healthz/live", "/healthz/ready"), pages) {
		t.Errorf("documented pages are %q, want %q", got, pages)
	}
	// Spans and an application's metrics are shown where there are such.
	elsewhere := []string{"sluice_application_metrics_failures_total", "sluice_application_metrics_up", "sluice_trace_dropped_total", "sluice_trace_spans_total"}
	got := without(find(string(described), "`((?:sluice|envoy)_\\w+)[`{]"), elsewhere...)
	metrics, series := "", []string(nil)
	// What each request counts is there a moment after its response.
	for until := time.Now().Add(patience); !slices.Equal(got, series) && time.Now().Before(until); time.Sleep(time.Millisecond) {
		metrics = p.metrics("sluice_rejected_requests_total")
		series = find(metrics, `(?m)^# TYPE ((?:sluice|envoy)_\w+)`)
	}
	if !slices.Equal(got, series) {
		t.Errorf("documented metrics are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(series, "\n"))
	}
	_, table, _ := strings.Cut(string(described), "## Events of connections")
	events := slices.Sorted(slices.Values(proxy.ConnEventNames[:]))
	if got := find(strings.Join(find(table, `(?m)^\| (.*?) \|`), "\n"), "`(\\w+)`"); !slices.Equal(got, events) {
		t.Errorf("documented events are\n%q\nwant\n%q", got, events)
	}
	types := find(metrics, `(?m)^# TYPE (envoy_cluster_\w+ \w+)`)
	if got := find(strings.ReplaceAll(string(described), "` | ", " "), "`(envoy_\\w+ (?:counter|gauge))"); !slices.Equal(got, types) {
		t.Errorf("documented types are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(types, "\n"))
	}
}

// TestMetricsAreClean: Prometheus' own linter finds nothing, but for Istio's unit and Envoy's
// names of counters and of membership_total, which are what operators look for. Series of a cluster
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
		if problem.Metric == "istio_request_duration_milliseconds" && strings.Contains(problem.Text, "base unit") {
			continue
		}
		if !strings.HasPrefix(problem.Metric, "envoy_") || !strings.Contains(problem.Text, `"_total" suffix`) {
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
	l.Tables[0].VirtualHosts[0].Routes[0].Policy = &router.RoutePolicy{Mirrors: []router.Mirror{{Cluster: mirror, Fraction: router.AllTraffic}}}
	return l
}

// secure is a listener that ends TLS with a certificate from files.
func secure(t *testing.T) *router.Listener {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	credential := router.Credential{CertificateFile: filepath.Join(t.TempDir(), "tls.crt"), KeyFile: filepath.Join(t.TempDir(), "tls.key")}
	for path, block := range map[string]*pem.Block{credential.CertificateFile: {Type: "CERTIFICATE", Bytes: der}, credential.KeyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := to("secure", "127.0.0.1:0", "x")
	l.Chains = []*router.Chain{{Name: "https", ServerNames: []string{"a.test"}, TLS: &router.ServerTLS{Certificates: []router.Credential{credential}}, Table: l.Tables[0]}}
	l.Tables = nil
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
