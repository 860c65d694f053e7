package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// ErrLost is returned, beside all records, where a request was lost.
var ErrLost = errors.New("requests were lost")

// All carries out every work. A subject that cannot be started for a work is left out of it and
// reported; a lost request ends nothing either.
func All(ctx context.Context, o Options) error {
	var problems []error
	for _, w := range o.Works {
		if err := one(ctx, o, w); err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(problems...)
}

// one carries out a work: all its subjects are started, and take turns.
func one(ctx context.Context, o Options, w work.Work) error {
	dir := filepath.Join(o.Scratch, w.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addrs, stop, err := backend.Start(ctx, w.Site, o.LoadCPUs)
	if err != nil {
		return fmt.Errorf("%s: its backends: %w", w.Name, err)
	}
	defer stop()
	w.Site.Backends = addrs
	var problems []error
	if w.Has(work.Load) || w.Has(work.Change) {
		return o.configurations(ctx, w, dir)
	}
	running, err := o.start(ctx, w, dir)
	if err != nil {
		problems = append(problems, err)
	}
	defer running.stop()
	if w.Rate, err = running.rate(ctx, o, w); err != nil {
		problems = append(problems, fmt.Errorf("%s: %s: %w", w.Name, w.HalfOf, err))
	}
	for round := 1; round <= o.Rounds && ctx.Err() == nil; round++ {
		for i := range running {
			// Whoever is first in a round is first seldom.
			t := running[(i+round)%len(running)]
			if err := t.measure(ctx, o, w, round); err != nil {
				problems = append(problems, fmt.Errorf("%s: %s: %w", w.Name, t.subject.Name, err))
			}
		}
	}
	for _, t := range running {
		if err := t.conclude(ctx, o, w); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", w.Name, t.subject.Name, err))
		}
	}
	return errors.Join(problems...)
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
func (o Options) start(ctx context.Context, w work.Work, dir string) (turns, error) {
	var all turns
	var problems []error
	for _, s := range o.Subjects {
		if !w.Takes(s.Peer) {
			continue
		}
		o.tell(Step{Work: w.Name, Subject: s.Name, What: "starting"})
		r, err := o.launch(ctx, s, w, dir)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s does not start: %w", w.Name, s.Name, err))
			continue
		}
		all = append(all, turn{s, r})
	}
	return all, errors.Join(problems...)
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
	return peer.Start(ctx, s.Peer, w.Site, peer.Options{Dir: own, Cache: o.Cache, Cores: max(w.Cores, 1), CPUs: cpus, Binary: s.Binary})
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
