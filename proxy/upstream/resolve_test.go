package upstream

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/router"
)

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
