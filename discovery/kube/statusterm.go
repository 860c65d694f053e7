package kube

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sluicegate/sluice/config"
)

const (
	// settle is how long news are let gather, statusTick how often everything is looked at
	// without.
	settle     = 200 * time.Millisecond
	statusTick = 5 * time.Second
	// resync is how often what the API server has is listed: others may have written too.
	resync = 30 * time.Minute
	// refusedPause is how long what was refused is left alone.
	refusedPause = time.Minute
	// batch is how many objects are written before news are heeded again.
	batch = 20
	// failedPause is how long an object is left alone whose status the API server failed to take, and
	// maxFailed how many may fail before it is the API server that is in trouble.
	failedPause, maxFailed = time.Minute, 3
	// firstOutage and lastOutage are the waits while the API server does not answer.
	firstOutage, lastOutage = time.Second, time.Minute
)

// term is the time in which this replica writes. It is for one goroutine.
type term struct {
	writer *StatusWriter
	api    *statusAPI
	events *recorder
	wake   <-chan struct{}
	// have are hashes of what is known to be written, by object.
	have map[config.Key]uint64
	// listed is when the API server was asked for all statuses.
	listed time.Time
	// blocked says until when nothing is written to a kind.
	blocked map[*resource]time.Time
	// failed says until when nothing is written to an object.
	failed map[config.Key]time.Time

	// addresses are those for Ingresses, found at the time addressed; published are the Ingresses
	// that are known to have them.
	addresses []ingressAddress
	addressed time.Time
	published map[config.Key]bool
}

// run writes until ctx ends.
func (t *term) run(ctx context.Context) {
	outage := time.Duration(0)
	for ctx.Err() == nil {
		err := t.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if outage == 0 {
				t.writer.log.Warn("statuses cannot be written: it is tried again", "because", explain(err))
			}
			outage = min(max(2*outage, firstOutage), lastOutage)
			sleep(ctx, outage)
			continue
		case outage > 0:
			outage = 0
			t.writer.log.Info("statuses are written again")
		}
		tick := time.NewTimer(statusTick)
		select {
		case <-ctx.Done():
		case <-t.wake:
			sleep(ctx, settle)
		case <-tick.C:
		}
		tick.Stop()
	}
}

// pass writes what differs from what is written. It returns an error where the API server is in
// trouble.
func (t *term) pass(ctx context.Context) error {
	if err := t.findAddresses(ctx); err != nil {
		return err
	}
	wanted := t.writer.wanted(t.addresses)
	if t.listed.IsZero() || time.Since(t.listed) > resync {
		if err := t.compare(ctx, wanted); err != nil {
			return err
		}
		t.listed = time.Now()
	}
	todo := t.todo(wanted)
	defer func() { t.writer.metrics.pending.Set(float64(len(todo))) }()
	failures := 0
	for n := 0; len(todo) > 0 && (n < batch || len(t.wake) == 0); n++ {
		t.writer.metrics.pending.Set(float64(len(todo)))
		s := todo[0]
		var err error
		if now := time.Now(); !now.Before(t.blocked[s.resource]) && !now.Before(t.failed[s.key]) {
			delete(t.failed, s.key)
			err = t.say(ctx, s)
		} else {
			// The status has to wait, but what is wrong can be said.
			t.events.tell(s, false)
		}
		switch {
		case err == nil:
		case isRefusal(err):
			t.blocked[s.resource] = time.Now().Add(refusedPause)
			t.events.tell(s, false)
		case ofOne(err):
			t.fail(s, err)
			if failures++; failures == maxFailed {
				return err
			}
		default:
			return err
		}
		todo = todo[1:]
	}
	return nil
}

// ofOne says whether an error may be one object's rather than the API server's: that of a webhook
// that is asked about it, or of what keeps it.
func ofOne(err error) bool {
	return apierrors.IsInternalError(err) || errors.Is(err, context.DeadlineExceeded)
}

// fail leaves an object alone for a while, so that it keeps no other from its status.
func (t *term) fail(s *saying, err error) {
	t.failed[s.key] = time.Now().Add(failedPause)
	t.events.tell(s, false)
	if t.api.told.first("status of " + s.key.String()) {
		t.writer.log.Warn("a status cannot be written: it is tried again", "object", s.key.String(), "because", err)
	}
}

// todo returns what is to be written, errors first, and forgets what is gone.
func (t *term) todo(wanted map[config.Key]*saying) (list []*saying) {
	for key := range t.have {
		if wanted[key] == nil && !t.writer.knows(key) {
			delete(t.have, key)
			delete(t.published, key)
			delete(t.events.told, key)
		}
	}
	maps.DeleteFunc(t.failed, func(key config.Key, _ time.Time) bool { return wanted[key] == nil && !t.writer.knows(key) })
	for key, s := range wanted {
		if had, known := t.have[key]; !known || had != s.sum {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *saying) int {
		return cmp.Or(slices.Index(severities, b.worst)-slices.Index(severities, a.worst),
			strings.Compare(a.key.Kind, b.key.Kind), strings.Compare(a.key.Namespace, b.key.Namespace), strings.Compare(a.key.Name, b.key.Name))
	})
	return list
}

// compare lists all statuses, and notes those that say already what they should.
func (t *term) compare(ctx context.Context, wanted map[config.Key]*saying) error {
	type place struct {
		resource *resource
		version  string
	}
	places := map[place]bool{}
	for _, s := range wanted {
		places[place{s.resource, s.identity.Version}] = true
	}
	for p := range places {
		for _, namespace := range t.writer.cluster.opt.namespaces() {
			err := t.api.list(ctx, p.resource.path(p.version, namespace), func(o *live) {
				if s := wanted[p.resource.key(o.Metadata.Namespace, o.Metadata.Name)]; s != nil && s.about(o) {
					t.recognise(s, o)
				}
			})
			switch {
			case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
				// The one that watches them says so.
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// recognise notes whether an object's status says already what it should.
func (t *term) recognise(s *saying, o *live) {
	delete(t.have, s.key)
	if s.resource.group == ingresses {
		has := s.served && !s.silent && slices.Equal(readAddresses(o.Status), s.addresses)
		if has {
			t.published[s.key] = true
		}
		if has || s.silent || !s.served && !t.published[s.key] {
			t.have[s.key] = s.sum
			t.events.tell(s, false)
		}
		return
	}
	if _, differs := s.istioStatus(readIstioStatus(o.Status), time.Time{}); !differs {
		t.have[s.key] = s.sum
		t.events.know(s)
	}
}

// about says whether an object is the one, and the version of its text, that is spoken of.
func (s *saying) about(o *live) bool {
	return o.Metadata.UID == s.identity.UID && o.Metadata.Generation == s.identity.Generation
}

// say brings the status of one object up to date.
func (t *term) say(ctx context.Context, s *saying) error {
	var o live
	err := t.api.get(ctx, &o, s.path()...)
	switch {
	case apierrors.IsNotFound(err):
		return nil // the watch says so soon
	case apierrors.IsForbidden(err):
		return t.api.refused("get", s.resource.String(), err)
	case err != nil:
		return err
	case !s.about(&o):
		return nil // likewise
	}
	if s.resource.group == ingresses {
		return t.sayIngress(ctx, s, &o)
	}
	now := readIstioStatus(o.Status)
	next, differs := s.istioStatus(now, time.Now())
	if !differs {
		t.have[s.key] = s.sum
		t.events.know(s)
		return nil
	}
	written, err := t.patch(ctx, s, &o, next)
	if written {
		t.events.tell(s, now.told())
	}
	return err
}

// patch writes a status, and says whether it is written.
func (t *term) patch(ctx context.Context, s *saying, o *live, status any) (bool, error) {
	err := t.api.patch(ctx, o, status, s.path()...)
	result := "failure"
	defer func() { t.writer.metrics.writes.WithLabelValues(s.resource.name, result).Inc() }()
	switch {
	case err == nil:
		result, t.have[s.key] = "success", s.sum
		return true, nil
	case apierrors.IsConflict(err):
		result = "conflict" // it is read again in a moment
		return false, nil
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		// What was read a moment ago and is not found has no subresource for its status.
		result = "refused"
		return false, t.api.refused("patch", s.resource.statusName(), err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		t.have[s.key] = s.sum // until there is something else to say
		t.writer.log.Warn("a status is not accepted", "object", s.key.String(), "error", err)
		return false, nil
	}
	return false, err
}

// statusName is the resource's subresource for the status, as kubectl takes it.
func (r *resource) statusName() string { return r.name + "." + r.group + "/status" }

// knows says whether an object is in force.
func (w *StatusWriter) knows(key config.Key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied[key] != nil
}
