package prometheus

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

// configuration is Prometheus' own: it scrapes the mesh's proxies, as it would pods.
const configuration = `
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: proxies
  metrics_path: /stats/prometheus
  static_configs:
  - {targets: [%q], labels: {pod: istio-ingressgateway-1, namespace: istio-system, app: istio-ingressgateway}}
  - {targets: [%q], labels: {pod: productpage-v1-1, namespace: default, app: productpage}}
  - {targets: [%q], labels: {pod: reviews-v1-1, namespace: default, app: reviews}}
`

// server is a Prometheus.
type server struct{ url string }

// startPrometheus starts a Prometheus that scrapes a mesh, until the test ends.
func startPrometheus(t testing.TB, m *mesh) *server {
	t.Helper()
	program := need(t, "prometheus")
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, m.metrics[0], m.metrics[1], m.metrics[2]), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", freeport.Take())}
	run(t, s.url+"/-/ready", nil, program, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", s.url[len("http://"):], "--log.level", "warn")
	return s
}

// sample is an element of a query's answer.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// number returns the sample's value.
func (s sample) number() float64 {
	text, _ := s.Value[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}

// query returns what Prometheus makes of an expression now.
func (s *server) query(expression string) ([]sample, error) {
	body, err := get(s.url + "/api/v1/query?" + url.Values{"query": {expression}, "time": {fmt.Sprintf("%.3f", float64(time.Now().UnixMilli())/1000)}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			ResultType string   `json:"resultType"`
			Result     []sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	return answer.Data.Result, nil
}

// answered returns nil where an expression has data: an element that is a number.
func (s *server) answered(expression string) error {
	list, err := s.query(expression)
	if err != nil {
		return err
	}
	for _, e := range list {
		if n := e.number(); n == n {
			return nil
		}
	}
	return fmt.Errorf("no data (%d elements): %s", len(list), expression)
}
