package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// lost is a client that can go away.
type lost struct {
	proxy.Downstream
	mu      sync.Mutex
	aborter *proxy.Aborter
}

func (l *lost) Attach(a *proxy.Aborter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a != nil {
		l.aborter = a
	}
	return true
}

func (l *lost) goes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborter.Abort()
}

// The first requests wait for the first answer, no longer than a connection may take, and
// as long as their clients are there. Later ones wait for nothing.
func TestFirstRequestWaits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// do is what happens a second after the request.
		do   func(b *bench, z *zone, client *lost)
		want bool
		took time.Duration
	}{
		"answer":         {func(b *bench, z *zone, _ *lost) { close(z.held) }, true, time.Second},
		"no such name":   {func(b *bench, z *zone, _ *lost) { z.fail("a.test", errors.New("x")); close(z.held) }, false, time.Second},
		"nothing":        {func(b *bench, z *zone, _ *lost) {}, false, 3 * time.Second},
		"client goes":    {func(b *bench, z *zone, client *lost) { client.goes() }, false, time.Second},
		"cluster goes":   {func(b *bench, z *zone, _ *lost) { b.m.Update(nil, []*Cluster{b.c}) }, false, time.Second},
		"policy changes": {func(b *bench, z *zone, _ *lost) { b.update(asDNS, "10.0.0.7:80") }, true, 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, z := newNameBench(t, nil)
				defer b.close()
				z.held = make(chan bool)
				z.set("a.test", time.Minute, "10.0.0.1")
				b.update(func(c *router.Cluster) { asDNS(c); c.ConnectTimeout = 3 * time.Second }, "a.test:80")
				client := new(lost)
				began := time.Now()
				waited := make(chan bool)
				c := b.c
				go func() {
					if c.Pick(&Choice{}) != nil {
						t.Error("there is something to pick already")
					}
					waited <- c.Await(0, client)
				}()
				time.Sleep(time.Second)
				test.do(b, z, client)
				if name == "policy changes" {
					time.Sleep(time.Second)
					close(z.held)
				}
				if got := <-waited; got != test.want || time.Since(began) > test.took {
					t.Errorf("%v after %v", got, time.Since(began))
				}
				if name == "answer" || name == "no such name" {
					// Whoever looked a moment before that does not wait, and knows.
					ended := time.Now()
					if got := b.c.Await(0, nil); got != test.want || time.Since(ended) > 0 {
						t.Errorf("afterwards: %v after %v", got, time.Since(ended))
					}
				}
			})
		})
	}
}

// A logical endpoint is one, whatever its name stands for: it keeps its connections, and new
// ones go to the newest address.
func TestLogicalEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		var dialed []string
		b.m.dial = func(d *net.Dialer, ctx context.Context, network, address string) (net.Conn, error) {
			b.mu.Lock()
			dialed = append(dialed, address)
			b.mu.Unlock()
			return b.dial(d, ctx, network, address)
		}
		z.set("a.test", 10*time.Second, "10.0.0.1", "10.0.0.2")
		b.update(asLogical, "a.test:80")
		synctest.Wait()
		b.wantEndpoints("a.test:80=10.0.0.1:80")
		conn := b.acquire("a.test:80")
		b.done("a.test:80", conn)
		e := b.endpoint("a.test:80")
		z.set("a.test", 10*time.Second, "10.0.0.2", "10.0.0.1")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.wantEndpoints("a.test:80=10.0.0.2:80")
		if b.endpoint("a.test:80") != e || b.acquire("a.test:80") != conn {
			t.Error("the connection was not kept")
		}
		b.acquire("a.test:80")
		if want := []string{"10.0.0.1:80", "10.0.0.2:80"}; !slices.Equal(dialed, want) {
			t.Errorf("dialled %v, want %v", dialed, want)
		}
	})
}

// A change of policy keeps what was resolved, and a change of resolution what it can.
func TestPolicyChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", time.Minute, "10.0.0.1", "10.0.0.2")
		b.update(asDNS, "a.test:80")
		synctest.Wait()
		e := b.endpoint("10.0.0.1:80")
		b.update(func(c *router.Cluster) { asDNS(c); c.Balancer = router.Random }, "a.test:80", "b.test:80")
		if b.endpoint("10.0.0.1:80") != e {
			t.Error("the endpoint lost its state")
		}
		synctest.Wait()
		b.update(asLogical, "a.test:80")
		b.wantEndpoints("a.test:80=10.0.0.1:80")
		b.update(nil, "10.0.0.1:80")
		b.wantEndpoints("10.0.0.1:80")
		if n := z.times("a.test") + z.times("b.test"); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}
