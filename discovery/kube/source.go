package kube

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/sluicegate/sluice/config"
)

// source is one list that is watched: a resource in one namespace or in all, or one object. It
// is the reflector's store too: what comes goes into the set.
type source struct {
	cluster  *Cluster
	resource *resource
	// namespace is the one to look in; empty for all.
	namespace string
	// fields is a field selector, and name the one object that it selects; empty for all.
	fields, name string
	// stop ends it.
	stop context.CancelFunc
	// store takes what comes; the source itself, unless it is about something else than objects
	// to be handed on.
	store cache.ReflectorStore

	// reflector is that of a version of the kind. It is kept through all trouble: it knows from which
	// version on it must list, and of several API servers one may lag behind.
	reflector *cache.Reflector
	version   string

	// refused and lacking are since when the API server has answered nothing else than that the kind
	// is forbidden, or missing; zero where it has.
	refused, lacking time.Time
	// heard is closed when it is known what the API server has, or that it does not tell.
	heard chan struct{}

	// retired sources bring nothing any more, and replaced are those that have listed; the set's lock
	// guards both.
	retired, replaced bool
	// state and err are the cluster's to read and write, as is known: that it has listed, or that there
	// is no such kind.
	state state
	err   error
	known bool
}

// state is how far a source has come.
type state int

const (
	// waiting: it has not been listed yet.
	waiting state = iota
	// listed: it has, and is followed.
	listed
	// missing: the API server does not have the kind.
	missing
	// forbidden: this proxy may not read it.
	forbidden
	// away: it was listed, and now the API server does not answer.
	away
)

// settled says whether there is no use in waiting for a first list.
func (s state) settled() bool { return s != waiting }

// first and last are the waits between attempts.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
	// pollRefused is how often what is missing or forbidden is asked for.
	pollRefused = 3 * time.Second
)

func (s *source) backoff() *wait.Backoff {
	return &wait.Backoff{Duration: firstRetry, Cap: lastRetry, Steps: 8, Factor: 2, Jitter: 0.5}
}

// run lists and watches until ctx ends.
func (s *source) run(ctx context.Context) {
	backoff := s.backoff()
	for ctx.Err() == nil {
		began := time.Now()
		version, err := s.cluster.versions.of(ctx, s.resource)
		if err == nil {
			err = s.follow(ctx, version)
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			// It went well for a while: this trouble is another one than the last.
			backoff = s.backoff()
		}
		pause := time.Duration(0)
		switch {
		case err == nil:
		case errors.Is(err, errNotServed), apierrors.IsNotFound(err):
			pause = s.lacks(err)
		case apierrors.IsForbidden(err):
			pause = s.refuse(err)
		default:
			s.cluster.report(s, away, err)
			pause = backoff.Step()
		}
		sleep(ctx, pause)
	}
}

// versionPatience is how long a version of a kind may be missing that the API server says it has.
const versionPatience = time.Second

// lacks takes that the API server does not have the kind, and returns when to ask again. Where
// objects of it are known, that is not believed at once: who deletes a kind deletes its objects first,
// so it is rather an API server that starts, or a proxy before it that has lost it.
func (s *source) lacks(err error) time.Duration {
	if s.lacking.IsZero() {
		s.lacking = time.Now()
	}
	gone, has := !errors.Is(err, errNotServed), s.cluster.set.has(s)
	if gone {
		// Perhaps only this version of it has gone.
		s.cluster.versions.forget()
	}
	since := time.Since(s.lacking)
	switch {
	case has && since < s.cluster.absence:
		s.cluster.report(s, away, err)
		return firstRetry
	case gone && since < versionPatience:
		return firstRetry
	}
	_ = s.store.Replace(nil, "")
	s.cluster.report(s, missing, err)
	return pollRefused
}

// refuse takes that the kind is forbidden, and returns when to ask again. Before anything has been
// handed on that is not believed at once; without Namespaces nothing would be anyway.
func (s *source) refuse(err error) time.Duration {
	if s.refused.IsZero() {
		s.refused = time.Now()
	}
	if s.needed() && s.name == "" && s.resource != namespace && s.cluster.waits(s) && time.Since(s.refused) < s.cluster.refusal {
		return firstRetry
	}
	s.cluster.report(s, forbidden, err)
	return pollRefused
}

// needed says whether something is amiss where the kind is forbidden.
func (s *source) needed() bool {
	return s.resource.without == "" && !(s.resource.cluster && len(s.cluster.opt.Namespaces) > 0)
}

// follow lists and watches one version until that fails.
func (s *source) follow(ctx context.Context, version string) error {
	if s.reflector == nil || s.version != version {
		s.reflector, s.version = s.newReflector(ctx, version), version
	}
	backoff := s.backoff()
	for {
		began := time.Now()
		// It returns nil where the watch has ended and a new list is due.
		if err := s.reflector.ListAndWatchWithContext(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		pause := rand.N(firstRetry)
		if time.Since(began) < lastRetry {
			// Watches that end as soon as they begin must not have everything listed all the time.
			pause = backoff.Step()
		} else {
			backoff = s.backoff()
		}
		sleep(ctx, pause)
	}
}

// newReflector returns what lists and watches a version of the kind.
func (s *source) newReflector(ctx context.Context, version string) *cache.Reflector {
	lw := &listerWatcher{
		api: s.cluster.api, resource: s.resource, version: version, namespace: s.namespace, fields: s.fields, name: s.name,
		told: func(err error) {
			switch {
			case err == nil:
				s.refused, s.lacking = time.Time{}, time.Time{}
				s.cluster.answered(s)
			case ctx.Err() == nil && !isAnswer(err):
				s.cluster.report(s, away, err)
			}
		},
	}
	return cache.NewReflectorWithOptions(lw, &item{}, s.store, cache.ReflectorOptions{
		Name: s.resource.String(), TypeDescription: s.resource.String(), Backoff: s.backoff(),
	})
}

// like says whether another source is about the same.
func (s *source) like(o *source) bool {
	return s.resource == o.resource && s.namespace == o.namespace && s.name == o.name
}

// isAnswer says whether an error is what an API server in good health says.
func isAnswer(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// covers says whether an object of the source's kind is one that it would list.
func (s *source) covers(o types.NamespacedName) bool {
	return (s.namespace == "" || s.namespace == o.Namespace) && (s.name == "" || s.name == o.Name) &&
		(s.resource != podMetadata || !s.cluster.whole(o.Namespace))
}

// about says whether it would list an object of any kind.
func (s *source) about(o *config.Object) bool {
	return s.resource.kind == o.Kind && s.resource.group == o.Group && s.covers(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
}

// wants says whether an object is to be known.
func (s *source) wants(i *item) bool {
	return s.cluster.watches(i.object) && s.covers(types.NamespacedName{Namespace: i.object.Namespace, Name: i.object.Name})
}

// Add takes an object that is new.
func (s *source) Add(o any) error {
	s.cluster.set.put(s, o.(*item))
	return nil
}

// Update takes an object that has changed.
func (s *source) Update(o any) error { return s.Add(o) }

// Delete takes an object that is gone.
func (s *source) Delete(o any) error {
	i := o.(*item)
	s.cluster.set.remove(s, i.Namespace, i.Name)
	return nil
}

// Replace takes all objects that there are.
func (s *source) Replace(list []any, _ string) error {
	s.cluster.set.replace(s, list)
	s.cluster.report(s, listed, nil)
	return nil
}

// Resync has nothing to do.
func (s *source) Resync() error { return nil }

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
