package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/run"
	"github.com/sluicegate/sluice/loadtest/work"
)

// TestNoPlace: results that could not be written are told of before anything is built for them.
func TestNoPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "out", "results.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "cache")
	for _, args := range [][]string{
		{"run", "--cache", cache, "--out", file},
		{"run", "--cache", cache, "--out", filepath.Join(dir, "out")},
		{"compare", "HEAD", "HEAD", "--cache", cache, "--out", file},
		{"profile", "--cache", cache, filepath.Join(dir, "nowhere", "file")},
	} {
		if got := execute(t.Context(), args); got != 1 {
			t.Errorf("%q: status %d", args, got)
		}
		if _, err := os.Stat(cache); err == nil {
			t.Fatalf("%q has built something", args)
		}
	}
}

// saved puts results of two subjects into a folder, the second of which was measured first.
func saved(t *testing.T, before, after string) (s *settings, file string) {
	t.Helper()
	s = &settings{out: t.TempDir(), rounds: 6}
	found := &results{How: "6 rounds of 1s, in turns", When: time.Unix(1000, 0).UTC(), Peers: map[string]string{}}
	for round := 1; round <= 6; round++ {
		for _, r := range []report.Record{{Peer: after, Value: 50 + float64(round)}, {Peer: before, Value: 100 + float64(round)}} {
			r.Work, r.Round, r.Figure = "http1-1k", round, work.CPU
			found.Records = append(found.Records, r)
		}
	}
	var text bytes.Buffer
	if err := s.write(&text, found, after, titles(work.All())); err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(s.out, "results.json")
}

// TestCompareDirection: both the ratios and benchstat tell what the second is next to the first,
// whichever had its turn first.
func TestCompareDirection(t *testing.T) {
	t.Parallel()
	s, _ := saved(t, "A-main", "B-worktree")
	text, err := os.ReadFile(filepath.Join(s.out, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "| HTTP/1.1 keep-alive, 1 KB | 0.52 (0.50 to 0.53) |"; !strings.Contains(string(text), want) {
		t.Errorf("no %q in\n%s", want, text)
	}
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&out)
	if err := s.benchstat(cmd, "A-main", "B-worktree"); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "-48.3") || strings.Index(got, "A-main") > strings.Index(got, "B-worktree") {
		t.Errorf("benchstat says\n%s", got)
	}
}

// TestNothingMeasured: a run that measured nothing leaves the results of an earlier one, and one that
// was interrupted says so in what it leaves.
func TestNothingMeasured(t *testing.T) {
	t.Parallel()
	s, file := saved(t, "nginx", "sluice")
	earlier, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Without a backend each work ends at once; nobody is a peer.
	o := run.Options{Rounds: 1, Works: []work.Work{{Name: "first"}, {Name: "second"}}, Subjects: []run.Subject{{Name: "one", Peer: "nobody"}}}
	carryOut := func(ctx context.Context) error {
		cmd := &cobra.Command{}
		cmd.SetContext(ctx)
		cmd.SetOut(new(bytes.Buffer))
		cmd.SetErr(new(bytes.Buffer))
		return s.carryOut(cmd, o, "sluice", nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := carryOut(ctx); err == nil || !strings.Contains(err.Error(), "one does not start") || !strings.Contains(err.Error(), "nothing was measured") {
		t.Errorf("the error is %v", err)
	}
	cancel()
	if err := carryOut(ctx); err == nil || !strings.HasPrefix(err.Error(), "interrupted; nothing was measured") {
		t.Errorf("the error is %v", err)
	}
	now, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(earlier, now) {
		t.Errorf("the results are %s, %v", now, err)
	}
}

// TestCompletion: names are completed one after the other, each once.
func TestCompletion(t *testing.T) {
	t.Parallel()
	got, _ := completion([]string{"a", "b", "c"})(nil, nil, "b,")
	if !slices.Equal(got, []string{"b,a", "b,c"}) {
		t.Errorf("after b: %q", got)
	}
	if got, _ := workNames(nil, nil, ""); !slices.Contains(got, "http1-1k") {
		t.Errorf("works: %q", got)
	}
}

// TestProgress: the bar is there until the last step is done, and a file gets a line for each round.
func TestProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{out: &out, bar: newBar(&out, 2)}
	for _, subject := range []string{"first", "second"} {
		p.step(run.Step{Work: "w", Subject: subject, Round: 1, What: "waiting"})
	}
	if p.bar.IsFinished() || p.bar.State().CurrentNum != 1 || !strings.Contains(out.String(), "w: second, waiting") {
		t.Errorf("during the second step of two: %+v, %q", p.bar.State(), out.String())
	}
	p.end()
	if !p.bar.IsFinished() {
		t.Error("it does not end")
	}
	out.Reset()
	lines := newProgress(&out, 3)
	for _, round := range []int{0, 1, 1, 2} {
		lines.step(run.Step{Work: "w", Round: round})
	}
	lines.end()
	if got := out.String(); got != "w, round 1\nw, round 2\n" {
		t.Errorf("lines: %q", got)
	}
}
