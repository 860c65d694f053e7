package run

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/peer"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/work"
)

// serving is a peer that has been started: a server of this process, whose processor time is
// that of a given one.
func serving(t *testing.T, pid int, handler http.HandlerFunc) turn {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return turn{Subject{Name: "nginx", Peer: "nginx"}, &peer.Running{Addr: s.Listener.Addr().String(), PIDs: []int{pid}}}
}

// keeper is an Options that keeps the records.
func keeper(records *[]report.Record) Options {
	return Options{Rounds: 1, Duration: 200 * time.Millisecond, Record: func(r report.Record) { *records = append(*records, r) }}
}

// post is a work that no program but ours offers, so that each answer is looked at.
var post = work.Work{
	Name: "w", Protocol: work.HTTP1, Connections: 2, Rate: 200, Upload: 1, Site: work.Site{Hosts: 1, RoutesPerHost: 1},
	Figures: []work.Figure{work.CPU, work.Latency, work.Saturation},
}

// TestLost: one lost request fails the round, is counted once, and nothing else is told of the
// measurement, which lacks it.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		during string
		at     int64 // of 100 to warm up, 40 that are measured, and saturation
	}{{"warming up", 50}, {"offered", 120}, {"saturation", 150}} {
		t.Run(c.during, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			s := serving(t, os.Getpid(), func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == c.at {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			var records []report.Record
			err := s.measure(t.Context(), keeper(&records), post, 1)
			if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "503") {
				t.Errorf("the error is %v", err)
			}
			summary := report.Summarise(records, "sluice")
			if got := summary.Lost["w"]["nginx"]; got != 1 {
				t.Errorf("%d requests were lost", got)
			}
			if i := slices.IndexFunc(records, func(r report.Record) bool { return r.Figure == work.Lost }); i < 0 || records[i].Detail != c.during {
				t.Errorf("it is not told when: %+v", records)
			}
			for figure, measured := range map[work.Figure]bool{work.Latency: c.during == "saturation", work.Saturation: c.during == "offered"} {
				if got := slices.ContainsFunc(records, func(r report.Record) bool { return r.Figure == figure }); got && !measured {
					t.Errorf("a figure, %s, of what lost a request", figure)
				}
			}
		})
	}
}

// TestDies: where a proxy goes away in the middle of a round, its requests are lost, whatever else
// cannot be told of it any more.
func TestDies(t *testing.T) {
	t.Parallel()
	proxy := exec.CommandContext(t.Context(), "cat")
	life, err := proxy.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	s := serving(t, proxy.Process.Pid, func(w http.ResponseWriter, r *http.Request) {
		switch i := n.Add(1); {
		case i == 120:
			life.Close()
			proxy.Wait()
			fallthrough
		case i > 120:
			panic(http.ErrAbortHandler)
		}
		io.Copy(io.Discard, r.Body)
	})
	var records []report.Record
	err = s.measure(t.Context(), keeper(&records), post, 1)
	if !errors.Is(err, ErrLost) {
		t.Errorf("the error is %v", err)
	}
	if got := report.Summarise(records, "sluice").Lost["w"]["nginx"]; got < 1 {
		t.Errorf("nothing was lost: %+v", records)
	}
}

// TestOffered: the rate is told, and that is the work's.
func TestOffered(t *testing.T) {
	t.Parallel()
	s := serving(t, os.Getpid(), func(http.ResponseWriter, *http.Request) {})
	var records []report.Record
	if err := s.measure(t.Context(), keeper(&records), post, 1); err != nil {
		t.Fatal(err)
	}
	summary := report.Summarise(records, "nginx")
	if v := summary.Value(report.Key{Work: "w", Figure: work.Offered}, "nginx"); v.Median != 200 {
		t.Errorf("offered: %+v", v)
	}
	for _, k := range summary.Keys("w") {
		if v := summary.Value(k, "nginx"); v.Median < 0 || v.Median == 0 && k.Detail != "user" && k.Detail != "system" {
			t.Errorf("%+v: %+v", k, v)
		}
	}
}

// TestHalf: the rate of a work that goes by what a peer bears is half of that, and where nothing is
// known of it the work is not done at another.
func TestHalf(t *testing.T) {
	t.Parallel()
	half := post
	half.HalfOf = "nginx"
	var arrived atomic.Int64
	nginx := serving(t, os.Getpid(), func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	var records []report.Record
	o := keeper(&records)
	rate, err := turns{nginx}.rate(t.Context(), o, half)
	// All that arrived did so within little more than the duration.
	if most := int(float64(arrived.Load())/o.Duration.Seconds()/2) + 1; err != nil || rate <= 0 || rate > most {
		t.Errorf("%d requests a second, %v; half is at most %d", rate, err, most)
	}
	other := nginx
	other.subject.Peer = "haproxy"
	if rate, err := (turns{other}).rate(t.Context(), o, half); err == nil {
		t.Errorf("without nginx: %d requests a second", rate)
	}
	gone := turn{nginx.subject, &peer.Running{Addr: "127.0.0.1:1"}}
	if rate, err := (turns{gone}).rate(t.Context(), o, half); err == nil {
		t.Errorf("of nginx that does not answer: %d requests a second", rate)
	}
	if rate, err := (turns{other}).rate(t.Context(), o, post); err != nil || rate != post.Rate {
		t.Errorf("a rate of its own: %d requests a second, %v", rate, err)
	}
}

// TestOthersGoOn: what is wrong with one subject keeps no other from its turn.
func TestOthersGoOn(t *testing.T) {
	t.Parallel()
	load := post
	load.Figures = []work.Figure{work.Load}
	for _, w := range []work.Work{post, load} {
		var records []report.Record
		o := keeper(&records)
		o.Works, o.Scratch = []work.Work{w}, t.TempDir()
		o.Subjects = []Subject{{Name: "first", Peer: "nobody"}, {Name: "second", Peer: "nobody"}}
		err := All(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
			t.Errorf("the error is %v", err)
		}
	}
}

// TestInterrupted: what went wrong until then is told all the same.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var records []report.Record
	o := keeper(&records)
	second := post
	second.Name = "v"
	o.Works, o.Scratch, o.Subjects = []work.Work{post, second}, t.TempDir(), []Subject{{Name: "first", Peer: "nobody"}}
	o.Progress = func(s Step) {
		if s.Work == "v" {
			cancel()
		}
	}
	err := All(ctx, o)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "w: first") {
		t.Errorf("the error is %v", err)
	}
}

// TestTurns: everybody is first, and in each place, as often as the others, and nobody always
// comes after the same one.
func TestTurns(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 6; n++ {
		places := make([][]int, n)
		after := make([]map[int]int, n)
		for i := range n {
			places[i], after[i] = make([]int, n), map[int]int{}
		}
		for round := range 2 * n {
			last := -1
			for place, i := range order(n, round+1) {
				places[i][place]++
				if last >= 0 {
					after[i][last]++
				}
				last = i
			}
		}
		for i := range n {
			for place, times := range places[i] {
				if times != 2 {
					t.Errorf("of %d, %d is in place %d in %d of %d rounds", n, i, place, times, 2*n)
				}
			}
			if n > 2 && len(after[i]) < 2 {
				t.Errorf("of %d, %d comes after %v alone", n, i, after[i])
			}
		}
	}
}
