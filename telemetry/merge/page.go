package merge

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
)

const (
	// DefaultTimeout bounds how long an application may take to answer.
	DefaultTimeout = 5 * time.Second
	// MaxPage bounds an application's page, in bytes.
	MaxPage = 32 << 20
	// runtimePrefix goes before the names of the proxy's go_ and process_ metrics: the
	// application has those too, most of the time. It is that of Istio's agent.
	runtimePrefix = "istio_agent_"
)

// Options say what is on the page.
type Options struct {
	// Own has the proxy's metrics.
	Own prometheus.Gatherer
	// Targets are URLs of the application's metrics, "http://127.0.0.1:9090/metrics".
	Targets []string
	// Timeout bounds how long they may take together; 0 means DefaultTimeout. A scrape that
	// says how long it waits itself gets its answer a little before.
	Timeout time.Duration
	// Transport is the way to them; nil means http.DefaultTransport.
	Transport http.RoundTripper
}

// Page is an http.Handler.
type Page struct {
	o      Options
	client http.Client
	mu     sync.Mutex
	failed []uint64 // by target
}

// New returns the page. Targets that do not answer are left out, and counted.
func New(o Options) *Page {
	return &Page{
		o:      o,
		client: http.Client{Transport: o.Transport, Timeout: cmp.Or(o.Timeout, DefaultTimeout)},
		failed: make([]uint64, len(o.Targets)),
	}
}

// ServeHTTP implements http.Handler. The proxy's own metrics come first, and whatever becomes
// of the application's.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answers := p.ask(r)
	families, err := p.o.Own.Gather()
	if err != nil && len(families) == 0 {
		http.Error(w, "the proxy's metrics cannot be gathered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	for _, f := range slices.Concat(p.withoutRuntime(families), p.outcome(answers)) {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return // nobody reads any more
		}
	}
	for _, a := range answers {
		w.Write(a.page)
	}
}

// withoutRuntime renames the metrics of the proxy's own process.
func (p *Page) withoutRuntime(families []*dto.MetricFamily) []*dto.MetricFamily {
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			f.Name = proto.String(runtimePrefix + name)
		}
	}
	return families
}

// outcome tells which targets answered.
func (p *Page) outcome(answers []answer) []*dto.MetricFamily {
	up := &dto.MetricFamily{
		Name: proto.String("sluice_application_metrics_up"), Type: dto.MetricType_GAUGE.Enum(),
		Help: proto.String("1 where the application's metrics were read, 0 where they could not be."),
	}
	failures := &dto.MetricFamily{
		Name: proto.String("sluice_application_metrics_failures_total"), Type: dto.MetricType_COUNTER.Enum(),
		Help: proto.String("How often the application's metrics could not be read."),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range answers {
		value := 1.0
		if a.err != nil {
			value = 0
			p.failed[i]++
		}
		labels := []*dto.LabelPair{{Name: proto.String("target"), Value: proto.String(p.o.Targets[i])}}
		up.Metric = append(up.Metric, &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: proto.Float64(value)}})
		failures.Metric = append(failures.Metric, &dto.Metric{Label: labels, Counter: &dto.Counter{Value: proto.Float64(float64(p.failed[i]))}})
	}
	return []*dto.MetricFamily{up, failures}
}

// patience is how long a scrape can wait for the application.
func (p *Page) patience(r *http.Request) time.Duration {
	limit := p.client.Timeout
	seconds, err := strconv.ParseFloat(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err == nil && seconds > 0 && seconds < 3600 {
		limit = min(limit, time.Duration(seconds*0.9*float64(time.Second)))
	}
	return limit
}

// CheckTarget reports what cannot be a target.
func CheckTarget(target string) error {
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil || r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return fmt.Errorf("%q is no URL of metrics, such as http://127.0.0.1:9090/metrics", target)
	}
	return nil
}
