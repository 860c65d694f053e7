package prometheus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// query is one of a list, and what it is for.
type query struct{ title, text string }

// readQueries reads a file of queries: one a line, under its title.
func readQueries(t testing.TB, file string) []query {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []query
	title := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			title = ""
		case strings.HasPrefix(line, "#"):
			title = strings.TrimSpace(line[1:])
		default:
			list = append(list, query{title, line})
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no queries", file)
	}
	return list
}

// variables are what dashboards leave to who looks at them.
var variables = strings.NewReplacer("$service", "reviews.default.svc.cluster.local")

// TestQueries: what Istio's and Kiali's dashboards ask is answered with data.
func TestQueries(t *testing.T) {
	t.Parallel()
	need(t, "prometheus")
	m := startMesh(t)
	s := startPrometheus(t, m)
	traffic(t, m)
	files, err := filepath.Glob("testdata/queries/*.promql")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files of queries: %v", len(files), err)
	}
	for _, file := range files {
		for _, q := range readQueries(t, file) {
			t.Run(filepath.Base(file)+"/"+q.title, func(t *testing.T) {
				await(t, func() error { return s.answered(variables.Replace(q.text)) })
			})
		}
	}
	t.Run("dashboards", func(t *testing.T) { dashboards(t, s) })
}

// traffic makes traffic until the test ends, and returns once there is some of each kind.
func traffic(t *testing.T, m *mesh) {
	t.Helper()
	if err := m.traffic(); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if err := m.traffic(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
}
