package prometheus

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	typeLine = regexp.MustCompile(`(?m)^# TYPE (\S+) \S+$`)
	// ofRuntime are those of every Go program.
	ofRuntime = regexp.MustCompile(`^(istio_agent_)?(go|process)_`)
)

// TestDocumented: the page of the documentation tells of each metric that proxies show.
func TestDocumented(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/metrics.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	m := startMesh(t)
	if err := m.traffic(); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for n, address := range m.metrics {
		metrics, err := get("http://" + address + "/stats/prometheus")
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range typeLine.FindAllStringSubmatch(metrics, -1) {
			name := match[1]
			if ofRuntime.MatchString(name) || n == 2 && strings.HasPrefix(name, "reviews_") { // the application's
				continue
			}
			shown++
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("%s does not tell of %s", page, name)
			}
		}
	}
	if shown < 100 {
		t.Errorf("%d metrics are shown by three proxies", shown)
	}
}
