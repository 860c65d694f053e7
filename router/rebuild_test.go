package router

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// edited returns a Spec with a few random changes, which shares the rest with the old.
func (w world) edited(old *Spec) *Spec {
	s := &Spec{Listeners: slices.Clone(old.Listeners), Clusters: slices.Clone(old.Clusters)}
	for i, l := range s.Listeners {
		if w.oneIn(3) {
			continue
		}
		copied := *l
		copied.Tables = slices.Clone(l.Tables)
		for j, rt := range copied.Tables {
			if w.oneIn(3) {
				continue
			}
			table := *rt
			table.VirtualHosts = w.editedHosts(rt.VirtualHosts)
			copied.Tables[j] = &table
		}
		s.Listeners[i] = &copied
	}
	if w.oneIn(6) && len(s.Listeners) > 1 {
		s.Listeners = s.Listeners[1:]
	}
	if w.oneIn(6) {
		s.Listeners = append(s.Listeners, w.spec().Listeners...)
		slices.SortStableFunc(s.Listeners, func(a, b *Listener) int { return int(a.Name[1]) - int(b.Name[1]) })
		s.Listeners = slices.CompactFunc(s.Listeners, func(a, b *Listener) bool { return a.Name == b.Name })
	}
	return w.editedClusters(s)
}

func (w world) editedClusters(s *Spec) *Spec {
	for range w.IntN(4) {
		c := &Cluster{Name: "c" + strconv.Itoa(w.IntN(12))}
		switch n := len(s.Clusters); {
		case n > 0 && w.oneIn(2):
			i := w.IntN(n)
			s.Clusters = slices.Delete(s.Clusters, i, min(n, i+1+w.IntN(3)))
		case n > 0 && w.oneIn(2):
			s.Clusters[w.IntN(n)] = c
		default:
			s.Clusters = slices.Insert(s.Clusters, w.IntN(n+1), c)
		}
	}
	return s
}

func (w world) editedHosts(old []*VirtualHost) []*VirtualHost {
	hosts := slices.Clone(old)
	for range w.IntN(3) {
		switch n := len(hosts); {
		case n > 0 && w.oneIn(4):
			hosts = slices.Delete(hosts, n-1, n)
		case n > 0 && w.oneIn(3):
			hosts[w.IntN(n)] = w.virtualHost(100 + w.IntN(100))
		case n > 0 && w.oneIn(2):
			i := w.IntN(n)
			hosts[i] = w.editedRoutes(hosts[i])
		case n > 1 && w.oneIn(3):
			i, j := w.IntN(n), w.IntN(n)
			hosts[i], hosts[j] = hosts[j], hosts[i]
		case n > 0 && w.oneIn(10):
			hosts = append(hosts, hosts[w.IntN(n)])
		default:
			hosts = slices.Insert(hosts, w.IntN(n+1), w.virtualHost(200+w.IntN(100)))
		}
	}
	return hosts
}

// editedRoutes returns a virtual host that keeps most of its routes.
func (w world) editedRoutes(old *VirtualHost) *VirtualHost {
	vh := *old
	vh.Routes = slices.Clone(old.Routes)
	for range 1 + w.IntN(3) {
		switch n := len(vh.Routes); {
		case n > 0 && w.oneIn(2):
			i := w.IntN(n)
			vh.Routes = slices.Delete(vh.Routes, i, i+1)
		case n > 0 && w.oneIn(4):
			vh.Routes = append(vh.Routes, vh.Routes[w.IntN(n)])
		default:
			vh.Routes = slices.Insert(vh.Routes, w.IntN(n+1), w.route(n))
		}
	}
	return &vh
}

// TestRebuildAgreesWithNaive walks through chains of changes: every table must route
// as the naive router does, and keep the IDs of clusters that stayed in use.
func TestRebuildAgreesWithNaive(t *testing.T) {
	t.Parallel()
	for seed := range rounds(t, 60) {
		w := newWorld(seed, 2)
		spec := w.spec()
		table, _ := Build(spec, nil)
		for step := range 12 {
			next := w.edited(spec)
			before := table.clusterIDs()
			rebuilt, _ := Build(next, table)
			checkClusters(t, rebuilt, before)
			for range 30 {
				agree(t, next, rebuilt, w.request())
				agree(t, spec, table, w.request())
			}
			if want := table.Generation() + 1; rebuilt.Generation() != want {
				t.Errorf("generation %d, want %d", rebuilt.Generation(), want)
			}
			if t.Failed() {
				t.Fatalf("seed %d step %d", seed, step)
			}
			spec, table = next, rebuilt
		}
	}
}

// clusterIDs returns the ID of every name that the table uses.
func (t *Table) clusterIDs() map[string]int {
	ids := map[string]int{}
	t.clusters.ids.each(func(name string, id int32) { ids[name] = int(id) })
	return ids
}

// checkClusters compares a table's cluster IDs with what its Spec says.
func checkClusters(t *testing.T, table *Table, before map[string]int) {
	t.Helper()
	defined := map[string]*Cluster{}
	for _, c := range table.Spec().Clusters {
		if defined[c.Name] == nil {
			defined[c.Name] = c
		}
	}
	used := map[string]bool{}
	for name := range defined {
		used[name] = true
	}
	use := func(ref ClusterRef) {
		used[ref.Name] = true
		if got := table.Clusters()[ref.ID]; got != defined[ref.Name] {
			t.Errorf("cluster %s has ID %d, where the table has %v", ref.Name, ref.ID, got)
		}
	}
	for _, l := range table.listeners {
		tables := l.tables
		if l.chains != nil {
			for _, chain := range l.chains.compiled {
				if chain.table != nil {
					tables = append(tables, chain.table)
				}
				for _, stream := range chain.streams {
					for _, d := range stream.Destinations {
						use(d.Cluster)
					}
				}
			}
		}
		for _, rt := range tables {
			for _, v := range rt.compiled {
				for _, route := range v.Routes {
					for _, d := range route.Destinations {
						use(d.Cluster)
					}
				}
			}
		}
	}
	ids := table.clusterIDs()
	taken := map[int]string{}
	for name, id := range ids {
		if !used[name] {
			t.Errorf("cluster %s has ID %d, though nothing names it", name, id)
		}
		if other, ok := taken[id]; ok {
			t.Errorf("clusters %s and %s share ID %d", name, other, id)
		}
		taken[id] = name
		if old, ok := before[name]; ok && old != id {
			t.Errorf("cluster %s changed from ID %d to %d", name, old, id)
		}
	}
	for name := range used {
		id, ok := ids[name]
		if !ok || table.Clusters()[id] != defined[name] {
			t.Errorf("cluster %s: ID %d (%v) does not lead to its definition", name, id, ok)
		}
	}
	if n := len(ids) + len(table.clusters.free); n != len(table.Clusters()) {
		t.Errorf("%d names and free IDs, but %d clusters", n, len(table.Clusters()))
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	values := make([]int, 400)
	list := func(from, to int) (out []*int) {
		for i := from; i < to; i++ {
			out = append(out, &values[i])
		}
		return out
	}
	join := slices.Concat[[]*int]
	cases := []struct {
		name     string
		old, new []*int
		want     []hunk
	}{
		{"equal", list(0, 9), list(0, 9), nil},
		{"from nothing", nil, list(0, 9), []hunk{{0, 0, 0, 9}}},
		{"to nothing", list(0, 9), nil, []hunk{{0, 9, 0, 0}}},
		{"put in", join(list(0, 5), list(6, 9)), list(0, 9), []hunk{{5, 5, 5, 6}}},
		{"taken out", list(0, 9), join(list(0, 5), list(6, 9)), []hunk{{5, 6, 5, 5}}},
		{"replaced", list(0, 9), join(list(0, 5), list(20, 21), list(6, 9)), []hunk{{5, 6, 5, 6}}},
		{"replaced last", list(0, 9), join(list(0, 8), list(20, 21)), []hunk{{8, 9, 8, 9}}},
		{"two places", list(0, 100), join(list(1, 90), list(91, 100)), []hunk{{0, 1, 0, 0}, {90, 91, 89, 89}}},
		{"beyond the window", list(0, 300), join(list(0, 10), list(300, 400), list(10, 300)), []hunk{{10, 300, 10, 400}}},
	}
	for _, c := range cases {
		if got := diff(c.old, c.new); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestRebuildKeepsWhatStayed holds a rebuild to what changed: one virtual host.
func TestRebuildKeepsWhatStayed(t *testing.T) {
	t.Parallel()
	spec := hostsSpec(1000)
	first, _ := Build(spec, nil)
	next := withHost(spec, 500, &VirtualHost{Name: "new", Domains: []string{"new.example.com"}, Routes: []*Route{forwardTo("c500")}})
	second, problems := Build(next, first)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	old, now := first.listeners["l"].tables[0], second.listeners["l"].tables[0]
	for i := range now.compiled {
		if (old.compiled[i] == now.compiled[i]) != (i != 500) {
			t.Errorf("virtual host %d: taken over is %v", i, old.compiled[i] == now.compiled[i])
		}
	}
	for host, want := range map[string]string{"h500.example.com": "", "new.example.com": "new", "h501.example.com": "h501"} {
		if got := now.hosts.lookup(host); (got == nil) != (want == "") || got != nil && got.Name != want {
			t.Errorf("%s: got %v, want %q", host, got, want)
		}
	}
	if got := old.hosts.lookup("h500.example.com"); got == nil {
		t.Error("the old table lost a host")
	}
}

// TestRebuildKeepsRoutes: of a virtual host that changed, the routes that did not are
// not compiled again, wherever they went.
func TestRebuildKeepsRoutes(t *testing.T) {
	t.Parallel()
	expression := on(Match{Path: StringMatch{MatchRegex, "/(a|b)[0-9]+"}})
	expression.Name = "kept"
	spec := specOf(&VirtualHost{Name: "v", Domains: []string{"*"}, Routes: []*Route{expression}})
	first, _ := Build(spec, nil)
	second, _ := Build(withHost(spec, 0, &VirtualHost{Name: "v", Domains: []string{"*"}, Routes: []*Route{on(Match{Path: exact("/x")}), expression}}), first)
	a, b := first.Route(request("/a1")), second.Route(request("/a1"))
	if a.Route.match.more.regex != b.Route.match.more.regex {
		t.Error("the expression was compiled again")
	}
	if a.Route.Index() != 0 || b.Route.Index() != 1 {
		t.Errorf("indexes %d and %d, want 0 and 1", a.Route.Index(), b.Route.Index())
	}
}

// hostsSpec is so many virtual hosts of three routes each, h0.example.com and so on.
func hostsSpec(n int) *Spec {
	rt := &RouteTable{Name: "http.80"}
	spec := &Spec{Listeners: []*Listener{{Name: "l", Tables: []*RouteTable{rt}}}}
	for i := range n {
		name, cluster := "h"+strconv.Itoa(i), "c"+strconv.Itoa(i)
		spec.Clusters = append(spec.Clusters, &Cluster{Name: cluster})
		rt.VirtualHosts = append(rt.VirtualHosts, &VirtualHost{
			Name:    name,
			Domains: []string{name + ".example.com"},
			Routes: []*Route{
				{Match: Match{Path: StringMatch{MatchPrefix, "/api/"}}, RouteAction: &RouteAction{Destinations: []Destination{{Cluster: cluster}}}},
				{Match: Match{Path: StringMatch{MatchExact, "/login"}}, RouteAction: &RouteAction{Destinations: []Destination{{Cluster: cluster}}}},
				forwardTo(cluster),
			},
		})
	}
	return spec
}

// withHost returns the Spec with one virtual host replaced, and the rest shared.
func withHost(old *Spec, i int, vh *VirtualHost) *Spec {
	rt := *old.Listeners[0].Tables[0]
	rt.VirtualHosts = slices.Clone(rt.VirtualHosts)
	rt.VirtualHosts[i] = vh
	l := *old.Listeners[0]
	l.Tables = []*RouteTable{&rt}
	return &Spec{Listeners: []*Listener{&l}, Clusters: old.Clusters}
}

func forwardTo(cluster string) *Route {
	return &Route{RouteAction: &RouteAction{Name: cluster, Destinations: []Destination{{Cluster: cluster}}}}
}

// changes are what happens most: a rule is edited, endpoints come and go.
var changes = []struct {
	name string
	of   func(spec *Spec, i int) *Spec
}{
	{"host", func(spec *Spec, i int) *Spec {
		vh := *spec.Listeners[0].Tables[0].VirtualHosts[i]
		return withHost(spec, i, &vh)
	}},
	{"endpoints", func(spec *Spec, i int) *Spec {
		changed := &Spec{Listeners: spec.Listeners, Clusters: slices.Clone(spec.Clusters)}
		changed.Clusters[i] = &Cluster{Name: spec.Clusters[i].Name}
		return changed
	}},
}

// BenchmarkRebuildHost changes one of many routes of one virtual host.
func BenchmarkRebuildHost(b *testing.B) {
	f := families[0]
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			vh := &VirtualHost{Domains: []string{"*"}}
			for i := range n {
				vh.Routes = append(vh.Routes, f.route(i, n))
			}
			spec := specOf(vh)
			table, _ := Build(spec, nil)
			for b.Loop() {
				changed := *vh
				changed.Routes = slices.Clone(vh.Routes)
				changed.Routes[n/2] = f.route(n/2, n)
				Build(withHost(spec, 0, &changed), table)
			}
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		spec := hostsSpec(n)
		table, _ := Build(spec, nil)
		for _, change := range changes {
			b.Run(fmt.Sprintf("%s/%d", change.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Build(change.of(spec, n/2), table)
				}
			})
		}
	}
}
