package report

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/loadtest/work"
)

// records of two rounds: the second was slow for everybody.
var records = []Record{
	{Work: "w", Peer: "sluice", Round: 1, Figure: work.CPU, Value: 8},
	{Work: "w", Peer: "sluice", Round: 2, Figure: work.CPU, Value: 16},
	{Work: "w", Peer: "sluice", Round: 3, Figure: work.CPU, Value: 9},
	{Work: "w", Peer: "nginx", Round: 1, Figure: work.CPU, Value: 10},
	{Work: "w", Peer: "nginx", Round: 2, Figure: work.CPU, Value: 20},
	{Work: "w", Peer: "nginx", Round: 3, Figure: work.CPU, Value: 10},
	{Work: "w", Peer: "haproxy", Round: 1, Figure: work.CPU, Value: 4},
	{Work: "w", Peer: "haproxy", Round: 2, Figure: work.Lost, Detail: "warming up", Value: 3},
	{Work: "w", Peer: "sluice", Round: 1, Figure: work.Offered, Value: 8000},
	{Work: "w", Peer: "nginx", Round: 1, Figure: work.Latency, Detail: "p99", Value: 1500},
	{Work: "w", Peer: "sluice", Round: 1, Figure: work.Memory, Value: 24e6},
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := Summarise(records, "sluice")
	k := Key{Work: "w", Figure: work.CPU}
	if r := s.Ratio(k, "nginx"); math.Abs(r.Median-.8) > 1e-9 || math.Abs(r.Min-.8) > 1e-9 || math.Abs(r.Max-.9) > 1e-9 || r.Rounds != 3 {
		t.Errorf("ratio to nginx: %+v", r)
	}
	if r := s.Ratio(k, "haproxy"); r.Median != 2 || r.Rounds != 1 {
		t.Errorf("ratio to HAProxy: %+v", r)
	}
	if r := s.Ratio(k, "nobody"); r != (Spread{}) {
		t.Errorf("ratio to nobody: %+v", r)
	}
	if v := s.Value(k, "sluice"); v.Median != 9 || v.Min != 8 || v.Max != 16 {
		t.Errorf("value: %+v", v)
	}
	if v := NewSpread([]float64{4, 1, 3, 2}); v.Median != 2.5 {
		t.Errorf("the middle of four: %+v", v)
	}
	if s.Lost["w"]["haproxy"] != 3 {
		t.Errorf("lost: %v", s.Lost)
	}
}

// TestMarkdown: what is slower than a peer is shown as such, and what is missing stays empty.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	got := Summarise(records, "sluice").Markdown(map[string]string{"w": "the work"})
	for _, want := range []string{
		"| processor time of a request | of nginx | of haproxy |",
		"| the work | 0.80 (0.80 to 0.90) | **2.00** slower |",
		"| processor time of a request, microseconds | 9.00 | 10.0 | 4.00 |",
		"| latency p99, milliseconds | | 1.50 | |",
		"| resident, MB | 24.0 | | |",
		"| requests a second, offered | 8000 | | |",
		"| **requests lost** | 0 | 0 | 3 |",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}

func TestBenchstat(t *testing.T) {
	t.Parallel()
	got := Benchstat(records, "nginx")
	want := "pkg: github.com/sluicegate/sluice/loadtest\nBenchmarkW/cpu 1 10 us/req\nBenchmarkW/cpu 1 20 us/req\nBenchmarkW/cpu 1 10 us/req\nBenchmarkW/latency/p99 1 1500 us\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if got := Benchstat(records, "haproxy"); strings.Contains(got, "/lost") {
		t.Errorf("benchstat is told of what is no measurement:\n%s", got)
	}
}

// TestRatio: one round has no range, and what is small is not nothing.
func TestRatio(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spread Spread
		want   string
	}{
		{Spread{.5, .5, .5, 1}, "0.50"},
		{Spread{1.5, 1.5, 1.5, 1}, "**1.50** more"},
		{Spread{1.5, 1, 2, 3}, "**1.50** (1.00 to 2.00) more"},
		{Spread{1.001, 1, 1.2, 3}, "1.00 (1.00 to 1.20)"},
		{Spread{.0023, .0008, .006, 3}, "0.002 (0.0008 to 0.01)"},
	} {
		if got := c.spread.ratio("more"); got != c.want {
			t.Errorf("%+v: %q, not %q", c.spread, got, c.want)
		}
	}
}

// TestPlots: what the subject and a peer both have is drawn, and nothing else.
func TestPlots(t *testing.T) {
	t.Parallel()
	titles := map[string]string{"w": "the work"}
	dir := t.TempDir()
	old := filepath.Join(dir, "p99.png")
	if err := os.WriteFile(old, []byte("of an earlier run"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := Summarise(records, "sluice").Plots(dir, titles); err != nil || len(files) != 2 {
		t.Errorf("%v, %v: processor time alone is told of both", files, err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("beside them is a plot of an earlier run")
	}
	both := slices.Concat(records, []Record{
		{Work: "w", Peer: "sluice", Round: 1, Figure: work.Latency, Detail: "p99", Value: 1400},
		{Work: "w", Peer: "nginx", Round: 1, Figure: work.Memory, Value: 12e6},
	})
	files, err := Summarise(both, "sluice").Plots(t.TempDir(), titles)
	if err != nil || len(files) != 6 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}
