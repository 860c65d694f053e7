package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicegate/sluice/loadtest/backend"
	"github.com/sluicegate/sluice/loadtest/peer"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/work"
)

// Options say what to compare, and how thoroughly.
type Options struct {
	Works []work.Work
	// Subjects are what is compared: peers, or builds of one.
	Subjects []Subject
	Rounds   int
	// Duration is that of one measurement; a work may have its own.
	Duration time.Duration
	// ProxyCPUs and LoadCPUs pin both sides (lists as taskset takes them), but for works with
	// more cores, which have AllCPUs; empty leaves that to the kernel. The generator is where
	// this process is.
	ProxyCPUs, LoadCPUs, AllCPUs string
	// Profiles, where not empty, is a folder for CPU profiles of the gateway, one of each work
	// and round: they are taken instead of figures.
	Profiles string
	// Cache is where built peers are, Scratch a folder for configurations and logs.
	Cache, Scratch string
	// Progress, where not nil, is told of each step before it begins.
	Progress func(Step)
	// Record is called with each figure.
	Record func(report.Record)
}

// Subject is one of those compared.
type Subject struct {
	// Name is how it is called in tables, Peer which proxy it is, and Binary its program where
	// that is not the prepared one.
	Name, Peer, Binary string
}

// Step is one measurement of one subject.
type Step struct {
	Work, Subject string
	// Round counts from 1; 0 is what comes before and after the rounds.
	Round int
	What  string
}

// ErrLost is returned, beside all other records, where a request was lost.
var ErrLost = errors.New("requests were lost")

// All carries out every work. A subject that cannot be started for a work is left out of it and
// reported; a lost request ends nothing either. Where the context ends all, its error is beside
// those of what went wrong before.
func All(ctx context.Context, o Options) error {
	var wrong problems
	for _, w := range o.Works {
		o.one(ctx, w, &wrong)
	}
	return errors.Join(append(wrong, ctx.Err())...)
}

// problems are what went wrong.
type problems []error

// add adds a problem, unless that is that all is to end: Ctrl-C ends the proxies, too.
func (p *problems) add(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		*p = append(*p, fmt.Errorf("%s: %w", what, err))
	}
}

// one carries out a work: all its subjects are started, and take turns.
func (o Options) one(ctx context.Context, w work.Work, wrong *problems) {
	if ctx.Err() != nil {
		return
	}
	dir := filepath.Join(o.Scratch, w.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		wrong.add(ctx, w.Name, err)
		return
	}
	defer os.RemoveAll(dir)
	addrs, stop, err := backend.Start(ctx, w.Site, o.LoadCPUs)
	if err != nil {
		wrong.add(ctx, w.Name+": its backends", err)
		return
	}
	defer stop()
	w.Site.Backends = addrs
	if w.Has(work.Load) || w.Has(work.Change) {
		o.configurations(ctx, w, dir, wrong)
		return
	}
	running := o.start(ctx, w, dir, wrong)
	defer running.stop()
	if w.Rate, err = running.rate(ctx, o, w); err != nil {
		wrong.add(ctx, w.Name+": "+w.HalfOf, err)
		return
	}
	for round := 1; round <= o.Rounds; round++ {
		for _, i := range order(len(running), round) {
			if ctx.Err() != nil {
				return
			}
			wrong.add(ctx, w.Name+": "+running[i].subject.Name, running[i].measure(ctx, o, w, round))
		}
	}
	for _, t := range running {
		if ctx.Err() != nil {
			return
		}
		wrong.add(ctx, w.Name+": "+t.subject.Name, t.conclude(ctx, o, w))
	}
}

// order is the order in which so many subjects take their turns in a round, the first of which is
// 1. Every other round goes backwards: what a machine does more and more of falls on nobody more
// than on others, and nobody always comes after the same one.
func order(n, round int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = (i + (round-1)/2) % n
	}
	if round%2 == 0 {
		slices.Reverse(all)
	}
	return all
}

// turn is a subject at work.
type turn struct {
	subject Subject
	*peer.Running
}

type turns []turn

func (all turns) stop() {
	for _, t := range all {
		t.Stop()
	}
}

// start starts the subjects that can do a work.
func (o Options) start(ctx context.Context, w work.Work, dir string, wrong *problems) (all turns) {
	for _, s := range o.Subjects {
		if !w.Takes(s.Peer) || ctx.Err() != nil {
			continue
		}
		o.tell(Step{Work: w.Name, Subject: s.Name, What: "starting"})
		r, err := o.launch(ctx, s, w, dir)
		if err != nil {
			wrong.add(ctx, fmt.Sprintf("%s: %s does not start", w.Name, s.Name), err)
			continue
		}
		all = append(all, turn{s, r})
	}
	return all
}

func (o Options) launch(ctx context.Context, s Subject, w work.Work, dir string) (*peer.Running, error) {
	own := filepath.Join(dir, s.Name)
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, err
	}
	cpus := o.ProxyCPUs
	if w.Cores > 1 {
		cpus = o.AllCPUs
	}
	return peer.Start(ctx, s.Peer, w.Site, peer.Options{Dir: own, Cache: o.Cache, Cores: max(w.Cores, 1), Connections: max(w.Connections, w.Idle), CPUs: cpus, Binary: s.Binary})
}

func (o Options) tell(s Step) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Steps returns how many steps there will be, for a bar.
func (o Options) Steps() (n int) {
	for _, w := range o.Works {
		for _, s := range o.Subjects {
			if w.Takes(s.Peer) {
				n += o.stepsOf(w)
				if s.Peer == w.HalfOf {
					n++ // its saturation
				}
			}
		}
	}
	return n
}

func (o Options) stepsOf(w work.Work) int {
	if w.Has(work.Load) || w.Has(work.Change) {
		return o.Rounds
	}
	n := 1 // starting
	if o.Profiles != "" {
		return n + o.Rounds
	}
	if w.Idle > 0 {
		return n + o.Rounds
	}
	if w.Rate > 0 {
		n += o.Rounds
	}
	if w.Has(work.Saturation) {
		n += o.Rounds
	}
	if w.Has(work.SystemCalls) {
		n++
	}
	return n
}
