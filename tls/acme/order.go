package acme

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

const (
	// soon and late bound the pause between two looks for a certificate that is missing, or
	// is about to be renewed; it grows while that goes on.
	soon = time.Second
	late = 10 * time.Second
	// seldom is the pause while nothing is to be expected.
	seldom = 5 * time.Minute
)

// order is what becomes of one certificate: it follows the store, and where this replica
// issues, has it ordered and renewed.
type order struct {
	m *Manager
	// key is where the store has it, host what it is for.
	key, host string
	// hello is that of a client that can do with this certificate.
	hello  func(host string) *tls.ClientHelloInfo
	cancel context.CancelFunc
	// cert is the certificate that is handed out; ready is closed once there is one.
	cert  atomic.Pointer[tls.Certificate]
	ready chan struct{}

	// What follows is run's own.
	since time.Time         // since when it is missing, or due
	retry time.Time         // before that nothing is ordered
	pause time.Duration     // until the retry after the next failure
	seen  [sha256.Size]byte // of what the store had
	// refused is that of what was not used, and told of: it may not be in force yet, by our clock.
	refused [sha256.Size]byte

	mu sync.Mutex
	// last is why the last try failed, unread why the store could not be asked.
	last, unread error
	// unsaved is the certificate where the store does not have it yet.
	unsaved []byte
}

func (m *Manager) newOrder(key, host string, hello func(string) *tls.ClientHelloInfo) *order {
	o := &order{m: m, key: key, host: host, hello: hello, ready: make(chan struct{}), pause: firstRetry}
	var ctx context.Context
	ctx, o.cancel = context.WithCancel(m.ctx)
	go o.run(ctx)
	return o
}

// run follows the certificate until ctx ends.
func (o *order) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-time.After(o.step(ctx)):
		case <-ctx.Done():
		}
	}
}

// step looks once, and returns after what time to look again.
func (o *order) step(ctx context.Context) time.Duration {
	err := o.read(ctx)
	o.save(ctx)
	due, rest := o.due()
	switch {
	case !due:
		o.since = time.Time{}
		return rest
	case o.since.IsZero():
		o.since = time.Now()
	}
	if err == nil && o.m.issues() && !time.Now().Before(o.retry) {
		o.issue(ctx)
		if due, rest = o.due(); !due {
			return rest
		}
	}
	return min(max(rest, time.Since(o.since)/20), late)
}

// due says whether the certificate is missing, or to be renewed, and when to look again.
func (o *order) due() (due bool, rest time.Duration) {
	cert := o.cert.Load()
	if cert == nil {
		return true, soon
	}
	if left := time.Until(cert.Leaf.NotAfter.Add(-o.m.renewal(cert))); left > 0 {
		return false, min(left, seldom)
	}
	life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
	return true, min(max(life/60, soon/4), soon)
}

// renewal returns how long before its end a certificate is to be renewed.
func (m *Manager) renewal(cert *tls.Certificate) time.Duration {
	before := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore) / 3
	if m.options.RenewBefore > 0 {
		before = m.options.RenewBefore
	}
	return min(before, 30*24*time.Hour)
}

// read takes the certificate from the store, if there is another. It fails where the store
// cannot be asked.
func (o *order) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	data, err := o.m.options.Store.Get(ctx, o.key)
	missing := errors.Is(err, autocert.ErrCacheMiss)
	if missing {
		err = nil
	}
	o.mu.Lock()
	o.unread = err
	o.mu.Unlock()
	if err != nil || missing {
		return err
	}
	sum := sha256.Sum256(data)
	if sum == o.seen {
		return nil
	}
	cert, err := parse(o.host, data)
	if err != nil {
		if sum != o.refused {
			o.refused = sum
			o.m.options.Logger.Warn("the stored certificate is not used", "host", o.host, "error", err.Error())
		}
		return nil
	}
	o.seen = sum
	o.hold(cert, nil)
	return nil
}

// issue has the certificate ordered; where there is one, autocert renews it from now on.
func (o *order) issue(ctx context.Context) {
	err := o.m.account(ctx)
	var cert *tls.Certificate
	if err == nil {
		cert, err = o.m.order(ctx, o.hello(o.host))
	}
	switch {
	case err == nil:
		o.pause = firstRetry
		o.mu.Lock()
		o.last = nil
		o.mu.Unlock()
		o.hold(cert, nil)
	case ctx.Err() != nil || errors.Is(err, errNotIssuing):
	default:
		o.mu.Lock()
		o.last = err
		o.mu.Unlock()
		pause := nextTry(o.pause, err)
		o.m.options.Logger.Warn("certificate could not be had; it is tried again", "host", o.host, "after", pause, "error", err.Error())
		o.retry = time.Now().Add(pause)
		o.pause = min(2*o.pause, lastRetry)
	}
}

// hold hands a certificate out from now on, unless there is a newer one. Where the store does
// not have it yet, unsaved is its PEM.
func (o *order) hold(cert *tls.Certificate, unsaved []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.cert.Load()
	if old != nil && (bytes.Equal(old.Leaf.Raw, cert.Leaf.Raw) || cert.Leaf.NotBefore.Before(old.Leaf.NotBefore)) {
		return
	}
	o.unsaved, o.last = unsaved, nil
	o.cert.Store(cert)
	if old == nil {
		close(o.ready)
	}
	o.m.options.Logger.Info("certificate at hand", "host", o.host, "expires", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// save puts a certificate in the store that is not there yet.
func (o *order) save(ctx context.Context) {
	data := o.notSaved()
	if data == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := o.m.options.Store.Put(ctx, o.key, data)
	if err != nil {
		o.m.options.Logger.Warn("a certificate could not be stored; it is tried again", "host", o.host, "error", err.Error())
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Equal(o.unsaved, data) {
		o.unsaved = nil
	}
}

func (o *order) notSaved() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unsaved
}

// problem is why there is no certificate, or no new one; nil where nothing failed yet.
func (o *order) problem() error {
	if cert := o.cert.Load(); cert != nil {
		return o.overdue(cert)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return cmp.Or(o.unread, o.last)
}

// overdue returns an error where a certificate was to be renewed long ago: a third of the time
// that there is for that is over.
func (o *order) overdue(cert *tls.Certificate) error {
	before, end := o.m.renewal(cert), cert.Leaf.NotAfter
	due := end.Add(-before)
	if time.Since(due) < before/3 {
		return nil
	}
	err := fmt.Errorf("it was to be renewed at %s, and ends at %s", due.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	o.mu.Lock()
	own := cmp.Or(o.unread, o.last)
	o.mu.Unlock()
	switch last := o.m.said.Load(); {
	case own != nil:
		err = fmt.Errorf("%w; %w", err, own)
	case last != nil && last.at.After(due):
		err = fmt.Errorf("%w; the last that went wrong is, at %s: %s", err, last.at.UTC().Format(time.RFC3339), last.text)
	}
	return err
}

// wait waits for the first certificate, but not for long.
func (o *order) wait() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-o.ready:
		return nil
	case <-timer.C:
	case <-o.m.ctx.Done():
	}
	if err := o.problem(); err != nil {
		return fmt.Errorf("the certificate of %s could not be had: %w", o.host, err)
	}
	return fmt.Errorf("the certificate of %s is being issued", o.host)
}

// parse reads a certificate and its key, as autocert stores them, for a host.
func parse(host string, data []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(host); err != nil {
		return nil, err
	}
	if now := time.Now(); now.After(cert.Leaf.NotAfter) || now.Before(cert.Leaf.NotBefore) {
		return nil, fmt.Errorf("it is in force from %s to %s only", cert.Leaf.NotBefore.UTC().Format(time.RFC3339), cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &cert, nil
}
