package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/sluicegate/sluice/loadtest/peer"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/run"
	"github.com/sluicegate/sluice/loadtest/work"
)

// TestSmoke carries a small comparison out with the peers that are there: it fails on a lost
// request and on a figure that is missing, never on a time.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	cache := t.TempDir()
	names := []string{"sluice", "nginx", "haproxy"}
	ready, missing := peer.Prepare(t.Context(), names, cache, testWriter{t})
	for name, why := range missing {
		if name == "sluice" || os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", name, why)
		}
		t.Logf("without %s: %v", name, why)
	}
	o := run.Options{Rounds: 1, Duration: time.Second, Cache: cache, Scratch: t.TempDir()}
	for _, name := range names {
		if _, ok := ready[name]; ok {
			o.Subjects = append(o.Subjects, run.Subject{Name: name, Peer: name})
		}
	}
	for _, w := range work.All() {
		if w.Smoke {
			// Rates that the machine of a test bears, whatever else runs there.
			w.Rate = min(w.Rate, 500)
			if _, err := exec.LookPath("strace"); err != nil && os.Getenv("CI") != "true" {
				t.Logf("without system calls: %v", err)
				w.Figures = slices.DeleteFunc(slices.Clone(w.Figures), func(f work.Figure) bool { return f == work.SystemCalls })
			}
			o.Works = append(o.Works, w)
		}
	}
	var records []report.Record
	o.Record = func(r report.Record) { records = append(records, r) }
	steps := 0
	o.Progress = func(s run.Step) {
		steps++
		t.Logf("%s: %s, %s", s.Work, s.Subject, s.What)
	}
	if err := run.All(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := o.Steps(); steps != want {
		t.Errorf("%d steps, and %d were promised", steps, want)
	}
	summary := report.Summarise(records, "sluice")
	for _, w := range o.Works {
		for _, s := range o.Subjects {
			for _, f := range w.Figures {
				k := report.Key{Work: w.Name, Figure: f}
				if f == work.Latency {
					k.Detail = "p99"
				}
				if v := summary.Value(k, s.Name); v.Rounds == 0 || v.Median <= 0 {
					t.Errorf("%s: %s: no %s: %+v", w.Name, s.Name, f, v)
				}
			}
		}
	}
	text := summary.Markdown(titles(o.Works))
	for _, s := range o.Subjects {
		if !strings.Contains(text, s.Name) {
			t.Errorf("the tables do not tell of %s", s.Name)
		}
	}
	files, err := summary.Plots(t.TempDir(), titles(o.Works))
	if err != nil || len(files) != 6 {
		t.Errorf("plots: %v, %v", files, err)
	}
	o.Works, o.Subjects = o.Works[:1], o.Subjects[:1]
	testProfile(t, o)
}

// testProfile: the gateway's profile is one that a compiler takes, and tells nothing of this
// machine.
func testProfile(t *testing.T, o run.Options) {
	o.Profiles = t.TempDir()
	steps := 0
	o.Progress = func(run.Step) { steps++ }
	if err := run.All(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := o.Steps(); steps != want {
		t.Errorf("%d steps for a profile, and %d were promised", steps, want)
	}
	file := filepath.Join(t.TempDir(), "traffic.pgo")
	if err := mergeProfiles(o.Profiles, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(text)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Function, func(f *profile.Function) bool { return strings.Contains(f.Name, "/proxy/http1.") }) {
		t.Errorf("nothing of %d samples is the gateway's own", len(p.Sample))
	}
	for _, m := range p.Mapping {
		if m.File != "" || m.BuildID != "" {
			t.Errorf("it names %q (%s)", m.File, m.BuildID)
		}
	}
}

// testWriter sends lines to a test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// TestMisuse: what makes no sense is told with status 2, and before anything runs.
func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--rounds", "0"}, {"run", "--works", "none"}, {"run", "--duration", "1ms"}, {"compare", "a"}, {"profile"}, {"nothing"}, {"run", "--what"},
		{"run", "--peers", "sluice,apache"}, {"run", "--rounds", "-1"}, {"run", "--duration", "-1s"},
		{"run", "--works", "http1-1k-half", "--peers", "haproxy"}, {"compare", "a", "b", "--works", "http1-1k-half"},
		{"profile", "file", "--works", "load-100"}, {"profile", "file", "--works", "idle-10k"}, {"page", "file", "file:none"},
	} {
		if got := execute(t.Context(), args); got != 2 {
			t.Errorf("%q: status %d", args, got)
		}
	}
}

// TestWorks: works have names of their own, and what they need.
func TestWorks(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, w := range work.All() {
		if seen[w.Name] {
			t.Errorf("%s is there twice", w.Name)
		}
		seen[w.Name] = true
		if w.Title == "" || len(w.Figures) == 0 || w.Site.Hosts < 1 || w.Site.RoutesPerHost < 1 {
			t.Errorf("%s is not whole: %+v", w.Name, w)
		}
		loads := w.Has(work.Load) || w.Has(work.Change)
		if !loads && w.Idle == 0 && (w.Rate == 0 || w.Connections == 0) {
			t.Errorf("%s offers no load", w.Name)
		}
	}
	if _, unknown := work.Named([]string{"http1-1k", "none"}); len(unknown) != 1 {
		t.Errorf("unknown: %q", unknown)
	}
}
