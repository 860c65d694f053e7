package upstream

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

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
