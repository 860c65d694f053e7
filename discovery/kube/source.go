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

	// retired sources bring nothing any more, and replaced are those that have listed; the set's lock
	// guards both.
	retired, replaced bool
	// state and err are the cluster's to read and write.
	state state
	err   error
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
		case errors.Is(err, errNotServed):
			_ = s.store.Replace(nil, "")
			s.cluster.report(s, missing, err)
			pause = pollRefused
		case apierrors.IsNotFound(err):
			// The kind, or this version of it, has just gone.
			s.cluster.versions.forget()
			pause = firstRetry
		case apierrors.IsForbidden(err):
			s.cluster.report(s, forbidden, err)
			pause = pollRefused
		default:
			s.cluster.report(s, away, err)
			pause = backoff.Step()
		}
		sleep(ctx, pause)
	}
}

// follow lists and watches one version until that fails.
func (s *source) follow(ctx context.Context, version string) error {
	lw := &listerWatcher{
		api: s.cluster.api, resource: s.resource, version: version, namespace: s.namespace, fields: s.fields, name: s.name,
		told: func(err error) {
			switch {
			case err == nil:
				s.cluster.answered(s)
			case ctx.Err() == nil && !isAnswer(err):
				s.cluster.report(s, away, err)
			}
		},
	}
	r := cache.NewReflectorWithOptions(lw, &item{}, s.store, cache.ReflectorOptions{
		Name: s.resource.String(), TypeDescription: s.resource.String(), Backoff: s.backoff(),
	})
	for {
		// It returns nil where the watch has ended and a new list is due.
		if err := r.ListAndWatchWithContext(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		sleep(ctx, time.Duration(rand.Int64N(int64(firstRetry))))
	}
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
