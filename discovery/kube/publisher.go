package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicegate/sluice/config"
)

// publisher hands changes on, one at a time.
type publisher struct {
	cluster *Cluster
	publish func(config.Delta)
	// conditions are those handed on last.
	conditions []config.Condition
	// wanted is what the front end needed last.
	wanted config.Wants
	// rest is when the next change may be handed on.
	rest time.Time
}

// first hands everything on, once it is there.
func (p *publisher) first(ctx context.Context) error {
	if !p.listed(ctx) {
		return ctx.Err()
	}
	c := p.cluster
	delta := c.set.take()
	if c.opt.Wants != nil {
		c.want(ctx, p.wants(delta))
		p.await(ctx)
		delta = merge(delta, c.set.take())
	}
	p.hand(delta)
	return ctx.Err()
}

// listed waits until everything has been listed, or read from the snapshot; false where ctx
// ended before.
func (p *publisher) listed(ctx context.Context) bool {
	c, told := p.cluster, false
	patience := time.NewTimer(snapshotAfter)
	defer patience.Stop()
	for c.waitsFor() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-c.reported:
			if c.silent() == nil {
				continue
			}
		case <-patience.C:
		}
		if c.useSnapshot("the Kubernetes API server does not answer", nil) {
			return true
		}
		if told {
			continue
		}
		told = true
		c.log.Warn("nothing is served yet: waiting for the Kubernetes API server", "server", c.rest.Host, "because", c.delay())
	}
	if deprived := c.deprived(); len(deprived) > 0 {
		// As in a process that loses its rights, what was known stays.
		c.useSnapshot("there are kinds that may not be read", func(o *config.Object) bool {
			return slices.ContainsFunc(deprived, func(s *source) bool { return s.about(o) })
		})
	}
	return true
}

// await waits until what is wanted is there, or is known not to be.
func (p *publisher) await(ctx context.Context) {
	deadline := time.NewTimer(p.cluster.patience)
	defer deadline.Stop()
	for p.cluster.waitsFor() > 0 && p.cluster.silent() == nil {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-p.cluster.reported:
		}
	}
}

// run hands changes on until ctx ends.
func (p *publisher) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.cluster.set.changed:
		case <-p.cluster.reported:
		case <-timer.C:
		}
		p.cluster.rejoin(ctx)
		at, some := p.cluster.set.due()
		if !some && slices.Equal(p.conditions, p.cluster.conditions()) {
			continue
		}
		if at.Before(p.rest) {
			at = p.rest
		}
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			continue
		}
		seen := p.cluster.set.seen()
		delta := p.cluster.set.take()
		if len(delta.Set)+len(delta.Removed) == 0 && slices.Equal(p.conditions, p.cluster.conditions()) {
			continue // what changed is as it was before
		}
		if some {
			delta.Seen = seen
		}
		if p.cluster.opt.Wants != nil && len(delta.Set)+len(delta.Removed) > 0 {
			p.cluster.want(ctx, p.wants(delta))
		}
		p.hand(delta)
	}
}

// seen is when the first of the changes that wait was told of.
func (s *set) seen() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// hand hands a change on.
func (p *publisher) hand(d config.Delta) {
	d.Conditions = p.cluster.conditions()
	p.conditions = d.Conditions
	began := time.Now()
	p.publish(d)
	now := time.Now()
	p.rest = now.Add(min(now.Sub(began), maxRest))
	select {
	case p.cluster.health.news <- struct{}{}:
	default:
	}
}

// wants asks the front end what it needs beyond what is watched. If it panics, that is its
// compiler's to say: what was wanted before is.
func (p *publisher) wants(d config.Delta) (w config.Wants) {
	defer func() {
		if value := recover(); value != nil {
			p.cluster.log.Error("panic while looking for what is wanted", "panic", fmt.Sprint(value))
			w = p.wanted
		}
	}()
	p.wanted = p.cluster.opt.Wants(d)
	return p.wanted
}

// merge puts a second change behind a first that held no removal.
func merge(first, second config.Delta) config.Delta {
	changed := make(map[config.Key]bool, len(second.Set)+len(second.Removed))
	for _, o := range second.Set {
		changed[o.Key] = true
	}
	for _, key := range second.Removed {
		changed[key] = true
	}
	first.Set = slices.DeleteFunc(first.Set, func(o *config.Object) bool { return changed[o.Key] })
	first.Set = append(first.Set, second.Set...)
	return first
}
