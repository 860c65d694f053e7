package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicegate/sluice/loadtest/generate"
	"github.com/sluicegate/sluice/loadtest/measure"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/work"
)

// warmUp is how long a proxy is used before it is measured.
const warmUp = 500 * time.Millisecond

// measure measures a subject once.
func (t turn) measure(ctx context.Context, o Options, w work.Work, round int) error {
	switch {
	case o.Profiles != "":
		return t.profile(ctx, o, w, round)
	case w.Idle > 0:
		return t.idle(ctx, o, w, round)
	}
	load := t.load(o, w)
	if w.Rate > 0 {
		o.tell(Step{w.Name, t.subject.Name, round, fmt.Sprintf("%d requests a second", w.Rate)})
		if err := t.atRate(ctx, o, w, round, load); err != nil {
			return err
		}
	}
	if w.Has(work.Saturation) {
		o.tell(Step{w.Name, t.subject.Name, round, "as many requests as it bears"})
		return t.saturate(ctx, o, w, round, load)
	}
	return nil
}

// saturate measures how much a proxy bears, and what a request costs it then.
func (t turn) saturate(ctx context.Context, o Options, w work.Work, round int, load generate.Load) error {
	load.Rate = 0
	before, err := measure.Processor(t.PIDs)
	if err != nil {
		return err
	}
	res, err := generate.Saturate(ctx, load)
	if err == nil {
		err = t.lost(o, w, round, "saturation", res)
	}
	if err != nil {
		return err
	}
	after, err := measure.Processor(t.PIDs)
	if err != nil {
		return err
	}
	t.record(o, w, round, work.Saturation, "", float64(res.Requests)/res.Elapsed.Seconds(), res)
	if w.Has(work.CPU) && res.Requests > 0 && len(t.PIDs) > 0 {
		t.record(o, w, round, work.CPU, "saturated", float64((after.Total-before.Total).Nanoseconds())/1000/float64(res.Requests), res)
	}
	return nil
}

// rate returns what is offered to everybody, which some works take from what one peer bears.
func (all turns) rate(ctx context.Context, o Options, w work.Work) (int, error) {
	if w.HalfOf == "" {
		return w.Rate, nil
	}
	for _, t := range all {
		if t.subject.Peer != w.HalfOf {
			continue
		}
		o.tell(Step{Work: w.Name, Subject: t.subject.Name, What: "as many requests as it bears"})
		load := t.load(o, w)
		load.Rate = 0
		res, err := generate.Saturate(ctx, load)
		if err == nil {
			err = t.lost(o, w, 1, "saturation", res)
		}
		if err != nil {
			return 0, err
		}
		return max(int(float64(res.Requests)/res.Elapsed.Seconds()/2), 1), nil
	}
	return 0, errors.New("half of what it bears is the rate of this work, and it does not take part")
}

// load is what a work asks of a proxy.
func (t turn) load(o Options, w work.Work) generate.Load {
	l := generate.Load{
		Target:      generate.Target{Addr: t.Addr, Host: "h0.example.com", Path: "/r0/", TLS: w.Site.TLS, Protocol: w.Protocol},
		Connections: max(w.Connections, 1), Streams: max(w.Streams, 1), Rate: w.Rate, Duration: o.Duration,
		Upload: w.Upload, Want: w.Site.Body, Hosts: w.Site.Hosts, RoutesPerHost: w.Site.RoutesPerHost,
	}
	if w.Duration > 0 {
		l.Duration = w.Duration
	}
	return l
}

// atRate measures processor time and latency at the work's rate.
func (t turn) atRate(ctx context.Context, o Options, w work.Work, round int, load generate.Load) error {
	warm := load
	warm.Duration = warmUp
	if res, err := generate.Open(ctx, warm); err != nil {
		return err
	} else if err := t.lost(o, w, round, "warming up", res); err != nil {
		return err
	}
	// Opening the connections is no part of the requests.
	var before measure.Usage
	var problem error
	load.Ready = func() { before, problem = measure.Processor(t.PIDs) }
	res, err := generate.Open(ctx, load)
	if err == nil {
		err = t.lost(o, w, round, "offered", res)
	}
	if err = errors.Join(err, problem); err != nil {
		return err
	}
	after, err := measure.Processor(t.PIDs)
	if err != nil {
		return err
	}
	t.record(o, w, round, work.Offered, "", float64(load.Rate), res)
	if w.Has(work.CPU) && res.Requests > 0 && len(t.PIDs) > 0 {
		each := func(d time.Duration) float64 {
			return float64(d.Nanoseconds()) / 1000 / float64(res.Requests)
		}
		t.record(o, w, round, work.CPU, "", each(after.Total-before.Total), res)
		t.record(o, w, round, work.CPU, "user", each(after.User-before.User), res)
		t.record(o, w, round, work.CPU, "system", each(after.System-before.System), res)
	}
	if w.Has(work.Latency) && res.Requests > 0 {
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", .5}, {"p99", .99}, {"p99.9", .999}} {
			t.record(o, w, round, work.Latency, q.name, float64(res.Latency.Quantile(q.at).Nanoseconds())/1000, res)
		}
		t.record(o, w, round, work.Latency, "lag", float64(res.Lag.Nanoseconds())/1000, res)
	}
	return nil
}

// idle measures memory while connections are open that nobody uses.
func (t turn) idle(ctx context.Context, o Options, w work.Work, round int) error {
	o.tell(Step{w.Name, t.subject.Name, round, fmt.Sprintf("%d idle connections", w.Idle)})
	closeAll, err := generate.Idle(ctx, t.load(o, w).Target, w.Idle)
	if err != nil {
		return err
	}
	defer closeAll()
	resident, err := measure.Resident(t.PIDs)
	if err != nil {
		return err
	}
	t.record(o, w, round, work.Memory, "", float64(resident), generate.Result{Requests: w.Idle})
	return nil
}

// conclude measures what is measured once.
func (t turn) conclude(ctx context.Context, o Options, w work.Work) error {
	if o.Profiles != "" {
		return nil
	}
	if w.Has(work.Memory) && w.Idle == 0 && len(t.PIDs) > 0 {
		resident, err := measure.Resident(t.PIDs)
		if err != nil {
			return err
		}
		t.record(o, w, 1, work.Memory, "", float64(resident), generate.Result{})
	}
	if !w.Has(work.SystemCalls) || len(t.PIDs) == 0 {
		return nil
	}
	o.tell(Step{Work: w.Name, Subject: t.subject.Name, What: "counting system calls"})
	load := t.load(o, w)
	load.Rate /= 4 // tracing is slow
	var res generate.Result
	each, _, err := measure.SystemCalls(ctx, t.PIDs, func() (int, error) {
		var err error
		res, err = generate.Open(ctx, load)
		return res.Requests, err
	})
	if err = errors.Join(t.lost(o, w, 1, "counting system calls", res), err); err != nil {
		return err
	}
	t.record(o, w, 1, work.SystemCalls, "", each, res)
	return nil
}

// configurations measures how long a proxy takes to serve a configuration, and a change of it.
func (o Options) configurations(ctx context.Context, w work.Work, dir string, wrong *problems) {
	subjects := slices.DeleteFunc(slices.Clone(o.Subjects), func(s Subject) bool { return !w.Takes(s.Peer) })
	for round := 1; round <= o.Rounds; round++ {
		for _, i := range order(len(subjects), round) {
			if ctx.Err() != nil {
				return
			}
			s := subjects[i]
			o.tell(Step{w.Name, s.Name, round, "starting, and changing one route"})
			wrong.add(ctx, w.Name+": "+s.Name, o.configuration(ctx, w, s, dir, round))
		}
	}
}

func (o Options) configuration(ctx context.Context, w work.Work, s Subject, dir string, round int) error {
	r, err := o.launch(ctx, s, w, dir)
	if err != nil {
		return err
	}
	defer r.Stop()
	t := turn{s, r}
	t.record(o, w, round, work.Load, "", float64(r.Loaded.Microseconds()), generate.Result{})
	took, err := r.Reload(ctx, w.Site)
	if err != nil {
		return err
	}
	t.record(o, w, round, work.Change, "", float64(took.Microseconds()), generate.Result{})
	resident, err := measure.Resident(r.PIDs)
	if err != nil {
		return err
	}
	t.record(o, w, round, work.Memory, "", float64(resident), generate.Result{})
	return nil
}

func (t turn) record(o Options, w work.Work, round int, figure work.Figure, detail string, value float64, res generate.Result) {
	o.Record(report.Record{
		Work: w.Name, Peer: t.subject.Name, Round: round, Figure: figure, Detail: detail, Value: value,
		Requests: res.Requests,
	})
}

// lost tells of requests that were lost in a measurement, of which nothing else is told then.
func (t turn) lost(o Options, w work.Work, round int, during string, res generate.Result) error {
	err := lost(res)
	if err != nil {
		t.record(o, w, round, work.Lost, during, float64(res.Failed), res)
	}
	return err
}

// lost says that requests were lost.
func lost(res generate.Result) error {
	if res.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %d: %s", ErrLost, res.Failed, res.Requests+res.Failed, res.Problem)
}
