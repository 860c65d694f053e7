package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

const (
	// leaseDuration is how long the others wait for a leader of whom nothing is heard, and
	// leaseDeadline after how long without an answer a leader gives up. leaseRetry is the time
	// between two attempts to stay leader; who would become leader waits up to leaseJitter longer, so
	// that not all ask at once.
	leaseDuration = 15 * time.Second
	leaseDeadline = 10 * time.Second
	leaseRetry    = 2 * time.Second
	leaseJitter   = leaseRetry / 2
	// leaseRelease bounds how long the end of a process waits for its lease to be given back.
	leaseRelease = time.Second
)

// Lease is a lease of coordination.k8s.io by which replicas agree on one that leads. It is
// written without the typed clients of client-go, which bring every type of Kubernetes.
type Lease struct {
	// Namespace and Name are the lease's.
	Namespace, Name string
	// Holder is who this process is; no two may have the same.
	Holder string
	// Changed, where not nil, is told when this process begins and ceases to lead.
	Changed func(leading bool)

	api rest.Interface
	log *slog.Logger
	// seen is the holder's last word, and seenAt when it came by this process' clock: those of
	// others may be wrong.
	seen   leaseSpec
	seenAt time.Time
	// refused is the last refusal that was told of.
	refused string
}

// leaseObject is the lease as the API server has it.
type leaseObject struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       leaseSpec      `json:"spec"`
}

type leaseSpec struct {
	Holder      string `json:"holderIdentity"`
	Seconds     int    `json:"leaseDurationSeconds"`
	Acquired    string `json:"acquireTime,omitempty"`
	Renewed     string `json:"renewTime,omitempty"`
	Transitions int    `json:"leaseTransitions"`
}

// microTime is how the API writes times of leases and events.
func microTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// Lead calls lead whenever this process holds the lease, with a context that ends as soon as it may
// not lead any more, and waits for lead to return. It ends with ctx, after it has given the lease
// back.
func (c *Cluster) Lead(ctx context.Context, l *Lease, lead func(context.Context)) {
	l.api, l.log = c.api, c.log
	for ctx.Err() == nil {
		began := time.Now()
		if held, err := l.attempt(ctx); held {
			l.lead(ctx, began, lead)
			continue
		} else if err != nil && ctx.Err() == nil {
			l.refusal(err)
		}
		sleep(ctx, leaseRetry+rand.N(leaseJitter))
	}
}

// lead runs one term, of a lease that was asked for at the time began.
func (l *Lease) lead(ctx context.Context, began time.Time, lead func(context.Context)) {
	l.log.Info("this replica leads", "lease", l.Namespace+"/"+l.Name, "holder", l.Holder)
	l.changed(true)
	term, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lead(term)
	}()
	l.hold(ctx, began)
	stop()
	l.changed(false)
	<-done
	if ctx.Err() != nil {
		l.release(context.WithoutCancel(ctx))
		return
	}
	l.log.Warn("this replica does not lead any more", "lease", l.Namespace+"/"+l.Name, "holder", l.Holder)
}

// hold renews the lease until ctx ends or it is lost. It counts from when the lease was asked
// for, not from when the answer came: the others count from when it was written, and an answer
// can be nearly as late as leaseDeadline.
func (l *Lease) hold(ctx context.Context, renewed time.Time) {
	for pause := leaseRetry - time.Since(renewed); ; pause = leaseRetry {
		sleep(ctx, pause)
		left := leaseDeadline - time.Since(renewed)
		if ctx.Err() != nil || left <= 0 {
			return
		}
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, left)
		held, err := l.attempt(attempt)
		cancel()
		switch {
		case held:
			renewed = began
		case err == nil:
			return
		case ctx.Err() == nil:
			l.refusal(err)
		}
	}
}

// attempt takes the lease or renews it. It returns false without an error where another has it.
func (l *Lease) attempt(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseDeadline)
	defer cancel()
	object, err := l.get(ctx)
	now := time.Now()
	if apierrors.IsNotFound(err) {
		object = l.fresh(now)
		err = l.write(ctx, l.api.Post().AbsPath(l.path()), object)
		return l.settled(err)
	}
	if err != nil {
		return false, err
	}
	if object.Spec != l.seen {
		l.seen, l.seenAt = object.Spec, now
	}
	if object.Spec.Holder != l.Holder {
		valid := time.Duration(cmp.Or(object.Spec.Seconds, int(leaseDuration/time.Second))) * time.Second
		if object.Spec.Holder != "" && now.Before(l.seenAt.Add(valid)) {
			return false, nil
		}
		object.Spec = leaseSpec{Holder: l.Holder, Acquired: microTime(now), Transitions: object.Spec.Transitions + 1}
	}
	object.Spec.Seconds, object.Spec.Renewed = int(leaseDuration/time.Second), microTime(now)
	err = l.write(ctx, l.api.Put().AbsPath(l.path(), l.Name), object)
	return l.settled(err)
}

// settled judges an attempt to write: where another was faster there is nothing wrong, but
// nothing is held either.
func (l *Lease) settled(err error) (bool, error) {
	if err == nil {
		l.refused = ""
		return true, nil
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false, errLeaseChanged
	}
	return false, err
}

var errLeaseChanged = errors.New("somebody else has written it")

func (l *Lease) fresh(now time.Time) *leaseObject {
	return &leaseObject{
		APIVersion: "coordination.k8s.io/v1", Kind: "Lease",
		Metadata: map[string]any{"name": l.Name, "namespace": l.Namespace, "labels": map[string]string{managedBy: sluice}},
		Spec:     leaseSpec{Holder: l.Holder, Seconds: int(leaseDuration / time.Second), Acquired: microTime(now), Renewed: microTime(now)},
	}
}

// release gives the lease back, so that nobody has to wait for it to expire.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaseRelease)
	defer cancel()
	object, err := l.get(ctx)
	if err == nil && object.Spec.Holder == l.Holder {
		object.Spec.Holder, object.Spec.Seconds, object.Spec.Renewed = "", 1, microTime(time.Now())
		err = l.write(ctx, l.api.Put().AbsPath(l.path(), l.Name), object)
	}
	if err != nil {
		l.log.Info("the lease could not be given back: the others wait until it expires", "lease", l.Namespace+"/"+l.Name, "error", err)
	}
}

func (l *Lease) path() string {
	return "/apis/coordination.k8s.io/v1/namespaces/" + l.Namespace + "/leases"
}

func (l *Lease) get(ctx context.Context) (*leaseObject, error) {
	text, err := l.api.Get().AbsPath(l.path(), l.Name).MaxRetries(0).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	object := &leaseObject{}
	return object, json.Unmarshal(text, object)
}

func (l *Lease) write(ctx context.Context, r *rest.Request, object *leaseObject) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return r.MaxRetries(0).SetHeader("Content-Type", "application/json").Param("fieldManager", fieldManager).Body(text).Do(ctx).Error()
}

func (l *Lease) changed(leading bool) {
	if l.Changed != nil {
		l.Changed(leading)
	}
}

// refusal tells why the lease cannot be had, each reason once in a row.
func (l *Lease) refusal(err error) {
	if errors.Is(err, errLeaseChanged) {
		return
	}
	message := explain(err)
	if apierrors.IsForbidden(err) {
		message = fmt.Sprintf("this proxy may not get, create and update leases.coordination.k8s.io in the namespace %s (403). To allow it: kubectl create role sluice-gateway-lease -n %s --verb=get,create,update --resource=leases.coordination.k8s.io, and a rolebinding to it: %s",
			l.Namespace, l.Namespace, err)
	}
	if l.refused != message {
		l.refused = message
		l.log.Warn("the lease cannot be had: this replica does not lead", "lease", l.Namespace+"/"+l.Name, "because", message)
	}
}
