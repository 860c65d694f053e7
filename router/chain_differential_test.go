package router

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var subnets = []string{"10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8", "127.0.0.1/32"}

func (w world) chain() *Chain {
	c := &Chain{Name: "chain" + strconv.Itoa(w.IntN(8)), IstioALPN: w.oneIn(6)}
	for range w.IntN(4) {
		c.ServerNames = append(c.ServerNames, pick(w, domains...))
	}
	if w.oneIn(3) {
		for i := range 1 + w.IntN(3) {
			c.Streams = append(c.Streams, w.stream(i))
		}
	}
	if c.Streams == nil && !w.oneIn(10) || w.oneIn(20) {
		c.Table = &RouteTable{Name: c.Name, Port: 443}
		for i := range w.IntN(3) {
			c.Table.VirtualHosts = append(c.Table.VirtualHosts, w.smallHost(i))
		}
	}
	return c
}

func (w world) smallHost(n int) *VirtualHost {
	vh := &VirtualHost{Name: "vh" + strconv.Itoa(n), RequireTLS: w.oneIn(12), Domains: []string{pick(w, domains...)}}
	for i := range w.IntN(4) {
		vh.Routes = append(vh.Routes, w.route(i))
	}
	return vh
}

func (w world) stream(n int) *StreamRoute {
	s := &StreamRoute{Name: "s" + strconv.Itoa(n)}
	for range w.IntN(3) {
		s.Subnets = append(s.Subnets, netip.MustParsePrefix(pick(w, subnets...)))
	}
	for i := range 1 + w.IntN(3) {
		s.Destinations = append(s.Destinations, Destination{Cluster: "c" + strconv.Itoa(w.IntN(12)), Weight: uint32(i + w.IntN(2))})
	}
	return s
}

func (w world) chainSpec() *Spec {
	s := &Spec{Listeners: []*Listener{{Name: "l0"}}}
	for range w.IntN(7) {
		s.Listeners[0].Chains = append(s.Listeners[0].Chains, w.chain())
	}
	for i := range 3 {
		s.Secrets = append(s.Secrets, &Secret{Name: "s" + strconv.Itoa(i)})
	}
	return w.editedClusters(s)
}

// editedChains returns a Spec with a few other chains and secrets.
func (w world) editedChains(old *Spec) *Spec {
	l := *old.Listeners[0]
	l.Chains = slices.Clone(l.Chains)
	for range w.IntN(4) {
		n := len(l.Chains)
		i := w.IntN(n + 1)
		switch {
		case i == n || w.oneIn(4):
			l.Chains = slices.Insert(l.Chains, i, w.chain())
		case w.oneIn(4):
			l.Chains = slices.Delete(l.Chains, i, i+1)
		case w.oneIn(8):
			l.Chains[i], l.Chains[0] = l.Chains[0], l.Chains[i]
		case w.oneIn(10):
			l.Chains = append(l.Chains, l.Chains[i])
		case w.oneIn(2) && l.Chains[i].Table != nil:
			// The same chain, with a table that has changed.
			c := *l.Chains[i]
			table := *c.Table
			table.VirtualHosts = append(slices.Clone(table.VirtualHosts), w.smallHost(n))
			c.Table = &table
			l.Chains[i] = &c
		default:
			l.Chains[i] = w.chain()
		}
	}
	s := &Spec{Listeners: []*Listener{&l}, Clusters: slices.Clone(old.Clusters), Secrets: slices.Clone(old.Secrets)}
	if w.oneIn(12) {
		s.Listeners = nil
	}
	if w.oneIn(2) {
		s.Secrets = append(s.Secrets, &Secret{Name: "s" + strconv.Itoa(w.IntN(6))})
	}
	if w.oneIn(2) && len(s.Secrets) > 0 {
		s.Secrets = slices.Delete(s.Secrets, 0, 1)
	}
	if len(s.Listeners) == 0 {
		s.Listeners = []*Listener{{Name: "l0", Tables: []*RouteTable{{}}}}
	}
	return w.editedClusters(s)
}

// TestChainsAgreeWithNaive walks through chains of changes: every table must take the
// connections that a plain scan says, route their requests alike, keep the IDs of clusters,
// and have the problems of a table that is built anew.
func TestChainsAgreeWithNaive(t *testing.T) {
	t.Parallel()
	taken, reset := 0, 0
	for seed := range rounds(t, 150) {
		w := newWorld(seed, 9)
		spec := w.chainSpec()
		table, _ := Build(spec, nil)
		for step := range 12 {
			next := w.editedChains(spec)
			before := table.clusterIDs()
			rebuilt, problems := Build(next, table)
			checkClusters(t, rebuilt, before)
			if _, fresh := Build(next, nil); !slices.Equal(sorted(problems), sorted(fresh)) {
				t.Errorf("problems\n%v\nwant those of a fresh build\n%v", sorted(problems), sorted(fresh))
			}
			for range 20 {
				if agreeChain(t, w, next, rebuilt) {
					taken++
				} else {
					reset++
				}
				agreeChain(t, w, spec, table)
			}
			checkSecrets(t, next, rebuilt)
			if t.Failed() {
				t.Fatalf("seed %d step %d", seed, step)
			}
			spec, table = next, rebuilt
		}
	}
	if taken == 0 || reset == 0 {
		t.Errorf("%d connections taken, %d reset: the worlds are too poor", taken, reset)
	}
}

func sorted(problems []Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}

// agreeChain fails the test where the table and the naive router differ about a connection,
// or a request on it.
func agreeChain(t *testing.T, w world, spec *Spec, table *Table) bool {
	t.Helper()
	l := spec.Listeners[0]
	name, tls := pick(w, hostWords...), !w.oneIn(4)
	offered := pick(w, nil, []string{"h2"}, []string{"h2", "istio-h2"}, []string{"istio-peer-exchange"})
	want := naiveChain(l, name, tls, slices.ContainsFunc(offered, func(s string) bool { return strings.HasPrefix(s, "istio") }))
	got := table.Chain("l0", name, tls, offered)
	if table.HasChains("l0") != (len(l.Chains) > 0) {
		t.Errorf("has chains: %v", table.HasChains("l0"))
	}
	if (got == nil) != (want == nil) || got != nil && got.Chain != want {
		t.Errorf("server name %q, TLS %v, %v: got %+v, want %+v", name, tls, offered, got, want)
	}
	r := w.request()
	r.Listener, r.Chain = "l0", "chain"+strconv.Itoa(w.IntN(8))
	if got != nil {
		if r.Chain = got.Name; table.NamedChain("l0", r.Chain) != got {
			t.Errorf("chain %s has another name", r.Chain)
		}
		if tls && name != "" && !got.Takes(name) {
			t.Errorf("chain %s does not take %q", r.Chain, name)
		}
		agreeStream(t, w, got)
	}
	agree(t, spec, table, r)
	agreeExplained(t, table, &Connection{Listener: "l0", TLS: tls, ServerName: name, ALPN: offered}, got, r)
	return got != nil
}

func agreeStream(t *testing.T, w world, c *CompiledChain) {
	t.Helper()
	dst := netip.MustParseAddr(pick(w, "10.1.2.3", "10.9.9.9", "192.0.2.1", "127.0.0.1", "fd00::1", "2001:db8::1", "::ffff:10.1.2.3"))
	var want *StreamRoute
	for _, s := range c.Streams {
		fits := len(s.Subnets) == 0
		for _, p := range s.Subnets {
			fits = fits || p.Contains(dst.Unmap())
		}
		alive := len(s.Destinations) == 1
		for _, d := range s.Destinations {
			alive = alive || d.Weight > 0
		}
		if fits && alive && want == nil {
			want = s
		}
	}
	got := c.Stream(dst)
	if (got == nil) != (want == nil) || got != nil && got.StreamRoute != want {
		t.Errorf("to %s: got %+v, want %+v", dst, got, want)
	}
	if got != nil && got.Pick(w.Uint64()) == nil {
		t.Errorf("%+v picked nothing", got)
	}
}

// agreeExplained fails the test where a connection is explained otherwise than it is taken.
func agreeExplained(t *testing.T, table *Table, c *Connection, taken *CompiledChain, r *Request) {
	t.Helper()
	e := table.ExplainOn(c, r)
	why := e.Connection
	if !table.HasChains("l0") {
		return
	}
	set := table.listeners["l0"].chains
	if plain := table.Chain("l0", "", false, nil); plain != nil {
		// A listener with such a chain does not look for TLS.
		taken = plain
	}
	if (why.Chain == nil) != (taken == nil) || taken != nil && why.Chain.Name != taken.Name {
		t.Errorf("%+v is explained as %+v, and goes to %+v", c, why, taken)
	}
	others := len(set.compiled)
	if taken != nil {
		others--
	}
	if len(why.Others)+why.OthersOmitted != others {
		t.Errorf("%+v: %d others explained and %d omitted of %d", c, len(why.Others), why.OthersOmitted, others)
	}
	if taken != nil && taken.table == nil {
		stream := taken.Stream(c.Local)
		if (stream == nil) != (why.Stream == nil) || (why.Outcome == ConnectionStream) != (stream != nil) || stream != nil && stream.Name != why.Stream.Name {
			t.Errorf("%+v: stream %+v is explained as %+v", c, stream, why)
		}
	}
}

func checkSecrets(t *testing.T, spec *Spec, table *Table) {
	t.Helper()
	for i := range 6 {
		name := fmt.Sprint("s", i)
		var want *Secret
		for _, s := range spec.Secrets {
			if s.Name == name && want == nil {
				want = s
			}
		}
		if got := table.Secret(name); got != want {
			t.Errorf("secret %s: got %p, want %p", name, got, want)
		}
	}
}
