package upstream

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream/dns"
)

const (
	// defaultRefresh is how soon a name is resolved again at the earliest, whatever its TTL
	// (Envoy's dns_refresh_rate); maxRefresh the latest.
	defaultRefresh = 5 * time.Second
	maxRefresh     = time.Hour
	// firstRetry and maxRetry are how soon after failures, the first and many.
	firstRetry = time.Second
	maxRetry   = 60 * time.Second
	// lookupTime bounds a lookup with all its search domains, servers and attempts.
	lookupTime = 30 * time.Second
	// maxLookups bounds those at once.
	maxLookups = 16
	// spread is what is added to a wait at random, as a part of it: names that were first
	// asked for together are not asked for together for ever.
	spread = 0.1
)

// names resolves the host names that clusters stand on, each once for all of them, again
// and again from the moment that a cluster has it until none does.
type names struct {
	lookup  func(ctx context.Context, host string) (dns.Answer, error)
	refresh time.Duration
	log     *slog.Logger
	// random returns a number from 0 to 1. routable tells whether this machine has a way to
	// an address.
	random   func() float64
	routable func(netip.Addr) bool

	slots   chan struct{}
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	// mu is taken while a cluster's state is locked, not the other way round.
	mu     sync.Mutex
	byHost map[string]*name
}

// name is one host name. The lock of names guards what is not atomic.
type name struct {
	host  string
	users map[*clusterState]bool
	timer *time.Timer
	// addresses are those of the last good answer, nil before there was one; settled tells
	// that there was any answer, or failure.
	addresses atomic.Pointer[addresses]
	settled   atomic.Bool
	// failure is that of the last lookup, nil after a good one.
	failure atomic.Pointer[error]
	// failures is how many lookups have failed in a row.
	failures int
}

// addresses are what an answer comes to.
type addresses struct {
	// every is for ResolutionDNS, one family's in order; first for ResolutionLogicalDNS, in
	// the order to try them.
	every, first []netip.Addr
}

func newNames(o *Options) *names {
	n := &names{
		lookup: o.Resolve, refresh: cmp.Or(o.MinRefresh, defaultRefresh), log: o.Log,
		random: rand.Float64, routable: routable,
		slots: make(chan struct{}, maxLookups), byHost: make(map[string]*name),
	}
	if n.lookup == nil {
		n.lookup = dns.New(dns.Options{}).Lookup
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	return n
}

// follow has a name resolved for s, which hears of every answer.
func (n *names) follow(host string, s *clusterState) *name {
	n.mu.Lock()
	defer n.mu.Unlock()
	x := n.byHost[host]
	if x == nil {
		x = &name{host: host, users: make(map[*clusterState]bool)}
		n.byHost[host] = x
		n.schedule(x, 0)
	}
	x.users[s] = true
	return x
}

// leave ends that.
func (n *names) leave(x *name, s *clusterState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if delete(x.users, s); len(x.users) == 0 && n.byHost[x.host] == x {
		delete(n.byHost, x.host)
		x.timer.Stop()
	}
}

// close ends all lookups, and waits for those in progress.
func (n *names) close() {
	n.mu.Lock()
	n.end()
	for _, x := range n.byHost {
		x.timer.Stop()
	}
	n.mu.Unlock()
	n.running.Wait()
}

// schedule has a name looked up after a while. The caller holds the lock.
func (n *names) schedule(x *name, after time.Duration) {
	x.timer = time.AfterFunc(after, func() { n.resolve(x) })
}

// begin tells whether a lookup is still wanted.
func (n *names) begin(x *name) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil || len(x.users) == 0 {
		return false
	}
	n.running.Add(1)
	return true
}

// resolve looks a name up, and tells its users.
func (n *names) resolve(x *name) {
	if !n.begin(x) {
		return
	}
	defer n.running.Done()
	select {
	case n.slots <- struct{}{}:
	case <-n.ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, lookupTime)
	answer, err := n.lookup(ctx, x.host)
	cancel()
	<-n.slots

	outcome := n.settle(x, &answer, err)
	n.mu.Lock()
	if n.ctx.Err() != nil || len(x.users) == 0 {
		n.mu.Unlock()
		return
	}
	users := make([]*clusterState, 0, len(x.users))
	for s := range x.users {
		users = append(users, s)
	}
	n.schedule(x, n.wait(x, answer.TTL))
	n.mu.Unlock()
	for _, s := range users {
		s.resolved(outcome)
	}
}

// settle takes an answer, or a failure, which leaves the addresses as they are. It returns
// what to count.
func (n *names) settle(x *name, answer *dns.Answer, err error) Stat {
	known := x.addresses.Load()
	if err == nil && answer.Partial && known != nil {
		err = errPartial
	}
	defer x.settled.Store(true)
	if err != nil {
		if x.failures++; x.failures == 1 && n.ctx.Err() == nil {
			kept := 0
			if known != nil {
				kept = len(known.first)
			}
			n.log.Warn("a name cannot be resolved", "name", x.host, "error", err, "addressesKept", kept)
		}
		x.failure.Store(&err)
		if told := (*dns.Error)(nil); errors.As(err, &told) && told.NotFound {
			return UpdateEmpty
		}
		return UpdateFailure
	}
	if x.failures > 0 {
		n.log.Info("a name is resolved again", "name", x.host, "failures", x.failures)
	}
	x.failures = 0
	x.failure.Store(nil)
	x.addresses.Store(n.arrange(answer.Addrs))
	return UpdateSuccess
}

var errPartial = errors.New("DNS: the question for IPv4 addresses was not answered")

// wait returns how long a name is left alone.
func (n *names) wait(x *name, ttl time.Duration) time.Duration {
	d := min(max(ttl, n.refresh), maxRefresh)
	if x.failures > 0 {
		d = min(firstRetry<<min(x.failures-1, 16), maxRetry)
	}
	return d + time.Duration(spread*n.random()*float64(d))
}

// arrange orders the addresses of an answer.
//
// Where every address is an endpoint, those of one family are: a machine that has both would
// else get twice the load, and one that this host cannot reach would be tried again and
// again. IPv4 is taken where there is a way there, as Istio does on hosts with an IPv4 address
// (dns_lookup_family V4_ONLY).
//
// Where they are tried one after the other, the families alternate, IPv6 first (RFC 8305
// section 4).
func (n *names) arrange(list []netip.Addr) *addresses {
	var v4, v6 []netip.Addr
	for _, a := range list {
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	a := new(addresses)
	for i := range max(len(v4), len(v6)) {
		a.first = append(append(a.first, v6[min(i, len(v6)):min(i+1, len(v6))]...), v4[min(i, len(v4)):min(i+1, len(v4))]...)
	}
	a.every = v4
	if len(v4) == 0 || len(v6) > 0 && !n.routable(v4[0]) && n.routable(v6[0]) {
		a.every = v6
	}
	a.every = slices.Clone(a.every)
	slices.SortFunc(a.every, netip.Addr.Compare)
	a.every = slices.Compact(a.every)
	return a
}

// routable asks the routing table: to connect a datagram socket sends nothing.
func routable(a netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
