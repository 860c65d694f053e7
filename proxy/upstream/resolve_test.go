package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/router"
)

// zone is what names stand for.
type zone struct {
	mu      sync.Mutex
	answers map[string]dns.Answer
	errs    map[string]error
	asked   map[string]int
	// held, where not nil, holds lookups until it is closed.
	held    chan bool
	current int
	most    int
}

func (z *zone) lookup(ctx context.Context, host string) (dns.Answer, error) {
	z.mu.Lock()
	z.asked[host]++
	z.current++
	z.most = max(z.most, z.current)
	held := z.held
	z.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.current--
	if err := z.errs[host]; err != nil {
		return dns.Answer{}, err
	}
	a, ok := z.answers[host]
	if !ok {
		return a, &dns.Error{Name: host, Cause: "no such name", NotFound: true}
	}
	return a, nil
}

// set has a name stand for addresses from now on.
func (z *zone) set(host string, ttl time.Duration, list ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a := dns.Answer{TTL: ttl}
	for _, s := range list {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	z.answers[host] = a
	delete(z.errs, host)
}

func (z *zone) fail(host string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.errs[host] = err
}

func (z *zone) times(host string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[host]
}

// newNameBench is newBench for names, which a zone resolves. Nothing is random.
func newNameBench(t *testing.T, log *slog.Logger) (*bench, *zone) {
	z := &zone{answers: map[string]dns.Answer{}, errs: map[string]error{}, asked: map[string]int{}}
	b := &bench{t: t, m: NewManager(Options{Resolve: z.lookup, Log: log}), refuse: map[string]error{}}
	b.m.dial = b.dial
	b.m.names.random = func() float64 { return 0 }
	b.m.names.routable = func(a netip.Addr) bool { return true }
	t.Cleanup(b.close)
	return b, z
}

func asDNS(c *router.Cluster)     { c.Resolution = router.ResolutionDNS }
func asLogical(c *router.Cluster) { c.Resolution = router.ResolutionLogicalDNS }

// endpoints returns the addresses of the cluster's endpoints, with the names they stand for.
func (b *bench) endpoints() string {
	var list []string
	for _, e := range b.c.Status().Endpoints {
		s := e.Address
		if e.Name != "" {
			s = e.Name + "=" + s
		}
		list = append(list, s)
	}
	return strings.Join(list, " ")
}

func (b *bench) wantEndpoints(want string) {
	b.t.Helper()
	if got := b.endpoints(); got != want {
		b.t.Errorf("endpoints %s\nwant      %s", got, want)
	}
}

// Every address of every name is an endpoint; addresses stand for themselves.
func TestNamesBecomeEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", time.Minute, "10.0.0.2", "10.0.0.1", "fd00::1")
		z.set("six.test", time.Minute, "fd00::2")
		z.set("same.test", time.Minute, "10.0.0.1")
		b.update(asDNS, "a.test:80", "six.test:81", "same.test:80", "10.9.9.9:82", "unix:///run/x", "[fd00::9]:83")
		synctest.Wait()
		b.wantEndpoints("a.test:80=10.0.0.1:80 a.test:80=10.0.0.2:80 six.test:81=[fd00::2]:81 10.9.9.9:82 unix:///run/x [fd00::9]:83")
		b.want(map[Stat]uint64{UpdateAttempt: 3, UpdateSuccess: 3, MembershipTotal: 6})
	})
}

// Where there is no way to an IPv4 address but one to IPv6, those are taken.
func TestFamilyByRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		b.m.names.routable = netip.Addr.Is6
		z.set("a.test", time.Minute, "10.0.0.1", "fd00::1")
		b.update(asDNS, "a.test:80")
		synctest.Wait()
		b.wantEndpoints("a.test:80=[fd00::1]:80")
	})
}

// Names are resolved again when their TTL is over, but not sooner than the least time, and
// what has not changed is left alone.
func TestTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", 20*time.Second, "10.0.0.1", "10.0.0.2")
		b.update(asDNS, "a.test:80")
		synctest.Wait()
		e := b.endpoint("10.0.0.2:80")
		time.Sleep(19 * time.Second)
		if n := z.times("a.test"); n != 1 {
			t.Fatalf("asked %d times", n)
		}
		// In another order they are the same.
		z.set("a.test", time.Millisecond, "10.0.0.2", "10.0.0.1")
		time.Sleep(1 * time.Second)
		synctest.Wait()
		b.want(map[Stat]uint64{UpdateAttempt: 2, UpdateNoRebuild: 1, MembershipChange: 1})
		z.set("a.test", 24*time.Hour, "10.0.0.2", "10.0.0.3")
		time.Sleep(4 * time.Second)
		if n := z.times("a.test"); n != 2 {
			t.Fatalf("asked %d times within the least time", n)
		}
		time.Sleep(1 * time.Second)
		synctest.Wait()
		b.wantEndpoints("a.test:80=10.0.0.2:80 a.test:80=10.0.0.3:80")
		if b.endpoint("10.0.0.2:80") != e {
			t.Error("an endpoint that stayed lost its state")
		}
		time.Sleep(maxRefresh)
		synctest.Wait()
		if n := z.times("a.test"); n != 4 {
			t.Errorf("asked %d times: a long TTL must be bounded", n)
		}
	})
}

// The idle connections of an address that has gone are closed; what is in use ends in peace.
func TestAddressGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", 5*time.Second, "10.0.0.1")
		b.update(asDNS, "a.test:80")
		synctest.Wait()
		gone := b.endpoint("10.0.0.1:80")
		first, second := b.acquire("10.0.0.1:80"), b.acquire("10.0.0.1:80")
		b.done("10.0.0.1:80", first)
		z.set("a.test", 5*time.Second, "10.0.0.2")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 1, MembershipTotal: 1})
		second.Requests++
		b.c.Release(gone, second, Report{Reusable: true, Status: 200})
		b.want(map[Stat]uint64{CxActive: 0})
	})
}

// Failures of every kind leave the addresses as they are; the first of a row is logged, and
// asking again becomes rarer.
func TestFailuresKeepAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err     error
		partial bool
		counted Stat
	}{
		"no such name": {err: &dns.Error{Name: "a.test", Cause: "no such name", NotFound: true}, counted: UpdateEmpty},
		"no answer":    {err: &dns.Error{Name: "a.test", Cause: "no answer in time"}, counted: UpdateFailure},
		"half":         {partial: true, counted: UpdateFailure},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				b, z := newNameBench(t, slog.New(slog.NewTextHandler(&log, nil)))
				defer b.close()
				z.set("a.test", 5*time.Second, "10.0.0.1")
				b.update(asDNS, "a.test:80")
				time.Sleep(4 * time.Second)
				if test.partial {
					z.mu.Lock()
					z.answers["a.test"] = dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}, Partial: true}
					z.mu.Unlock()
				} else {
					z.fail("a.test", test.err)
				}
				// At 5 s, then 1, 2, 4, 8, 16, 32, 60 and 60 s after that.
				for i, wait := range []int{1, 1, 2, 4, 8, 16, 32, 60, 60} {
					time.Sleep(time.Duration(wait)*time.Second - time.Millisecond)
					if n := z.times("a.test"); n != i+1 {
						t.Fatalf("asked %d times before failure %d", n, i+1)
					}
					time.Sleep(time.Millisecond)
					synctest.Wait()
				}
				b.wantEndpoints("a.test:80=10.0.0.1:80")
				b.want(map[Stat]uint64{test.counted: 9, UpdateSuccess: 1, UpdateAttempt: 10})
				z.set("a.test", 5*time.Second, "10.0.0.2")
				time.Sleep(time.Minute)
				synctest.Wait()
				b.wantEndpoints("a.test:80=10.0.0.2:80")
				if n := strings.Count(log.String(), "cannot be resolved"); n != 1 {
					t.Errorf("%d warnings: %s", n, &log)
				}
				if !strings.Contains(log.String(), "resolved again") {
					t.Errorf("no end of it: %s", &log)
				}
			})
		})
	}
}

// A name is resolved once for all clusters that stand on it, until none does.
func TestOneLookupForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", 10*time.Second, "10.0.0.1")
		var specs []*router.Cluster
		for i := range 5 {
			specs = append(specs, &router.Cluster{
				Name: fmt.Sprint(i), Resolution: router.ResolutionDNS,
				Endpoints: []*router.Endpoint{{Address: fmt.Sprintf("a.test:%d", 80+i)}},
			})
		}
		clusters := b.m.Update(specs, nil)
		synctest.Wait()
		for i, c := range clusters {
			if e := c.Pick(&Choice{}); e == nil || e.Address != fmt.Sprintf("10.0.0.1:%d", 80+i) {
				t.Errorf("cluster %d has %v", i, e)
			}
		}
		if n := z.times("a.test"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// A new cluster has the addresses at once.
		more := b.m.Update(append(specs, &router.Cluster{
			Name: "more", Resolution: router.ResolutionDNS, Endpoints: []*router.Endpoint{{Address: "a.test:90"}},
		}), clusters)
		if e := more[5].Pick(&Choice{}); e == nil {
			t.Error("the new cluster has nothing")
		}
		b.m.Update(nil, more)
		time.Sleep(time.Hour)
		if n := z.times("a.test"); n != 1 {
			t.Errorf("asked %d times, though nobody wants to know", n)
		}
		if len(b.m.names.byHost) != 0 {
			t.Errorf("names left: %v", b.m.names.byHost)
		}
	})
}

// However many names there are, few are looked up at once.
func TestLookupsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.held = make(chan bool)
		var hosts []string
		for i := range 100 {
			hosts = append(hosts, fmt.Sprintf("h%d.test:80", i))
			z.set(fmt.Sprintf("h%d.test", i), time.Minute, fmt.Sprintf("10.0.0.%d", i+1))
		}
		b.update(asDNS, hosts...)
		synctest.Wait()
		close(z.held)
		synctest.Wait()
		if z.most != maxLookups {
			t.Errorf("%d lookups at once", z.most)
		}
		b.want(map[Stat]uint64{MembershipTotal: 100})
	})
}

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
					if b.c.Await(0, nil) {
						t.Error("there is nothing to wait for any more")
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
