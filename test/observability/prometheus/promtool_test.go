package prometheus

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// contracts are what promtool would have otherwise, but is as Istio and Envoy have it, so that
// their dashboards work.
var contracts = []*regexp.Regexp{
	regexp.MustCompile(`^istio_request_duration_milliseconds use base unit "seconds"`),
	regexp.MustCompile(`^envoy_\w+ counter metrics should have "_total" suffix$`),
	regexp.MustCompile(`^envoy_\w+_total non-counter metrics should not have "_total" suffix$`),
	regexp.MustCompile(`^envoy_server_days_until_first_cert_expiring use base unit "seconds"`),
}

// TestPromtool: promtool finds nothing wrong with the metrics of any of the proxies.
func TestPromtool(t *testing.T) {
	t.Parallel()
	program := need(t, "promtool")
	m := startMesh(t)
	if err := m.traffic(); err != nil {
		t.Fatal(err)
	}
	for _, address := range m.metrics {
		var page string
		await(t, func() (err error) {
			page, err = get("http://" + address + "/stats/prometheus")
			if err == nil && !strings.Contains(page, "istio_requests_total{") {
				err = fmt.Errorf("%s has counted no request", address)
			}
			return err
		})
		cmd := exec.Command(program, "check", "metrics")
		cmd.Stdin = strings.NewReader(page)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		if err != nil && cmd.ProcessState.ExitCode() != 3 { // 3: it has something to say
			t.Fatalf("%v: %s", err, said.String())
		}
		for line := range strings.Lines(said.String()) {
			if line = strings.TrimSpace(line); line != "" && !contracted(line) {
				t.Errorf("promtool: %s", line)
			}
		}
	}
}

func contracted(line string) bool {
	for _, c := range contracts {
		if c.MatchString(line) {
			return true
		}
	}
	return false
}
