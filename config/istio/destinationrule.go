package istio

import (
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// destinationRule is one DestinationRule in force.
type destinationRule struct {
	object *config.Object
	spec   *networking.DestinationRule
	host   string
	// exportTo is a sorted set; a rule for selected workloads is never exported.
	exportTo []string
	selector map[string]string
	selected bool
}

func newDestinationRule(o *config.Object, spec *networking.DestinationRule, host string) *destinationRule {
	r := &destinationRule{object: o, spec: spec, host: host}
	if spec.WorkloadSelector != nil {
		r.selected, r.selector, r.exportTo = true, spec.WorkloadSelector.MatchLabels, []string{"."}
		return r
	}
	r.exportTo = slices.Clone(spec.ExportTo)
	slices.Sort(r.exportTo)
	r.exportTo = slices.Compact(r.exportTo)
	return r
}

// inOwnNamespace says whether clients of the rule's own namespace use it.
func (r *destinationRule) inOwnNamespace() bool {
	return len(r.exportTo) == 0 || r.exportsTo("*") || r.exportsTo(".") || r.exportsTo(r.object.Namespace)
}

// ownNamespaceOnly says whether nobody else does.
func (r *destinationRule) ownNamespaceOnly() bool {
	return len(r.exportTo) == 1 && (r.exportsTo(".") || r.exportsTo(r.object.Namespace))
}

func (r *destinationRule) exportsTo(namespace string) bool {
	return slices.Contains(r.exportTo, namespace)
}

// policy is what the DestinationRules for one host come to.
type policy struct {
	exportTo []string
	selector map[string]string
	selected bool
	// rules are those merged, the oldest first.
	rules   []*destinationRule
	subsets []subset
	// place has where each subset is among many; nil where they are few.
	place   map[string]int
	traffic *networking.TrafficPolicy
}

// fewSubsets is up to how many subsets are looked through.
const fewSubsets = 16

type subset struct {
	*networking.Subset
	origin router.Origin
}

// subset returns the subset of a name.
func (p *policy) subset(name string) (subset, bool) {
	if p == nil {
		return subset{}, false
	}
	if p.place != nil {
		at, ok := p.place[name]
		if !ok {
			return subset{}, false
		}
		return p.subsets[at], true
	}
	for _, s := range p.subsets {
		if s.Name == name {
			return s, true
		}
	}
	return subset{}, false
}

// subsetNames lists the subsets for people.
func (p *policy) subsetNames() string {
	if p == nil || len(p.subsets) == 0 {
		return "none"
	}
	return listed(len(p.subsets), func(i int) string { return p.subsets[i].Name })
}

// hostRules are the DestinationRules of one namespace for one host, and what they
// come to for clients of that namespace, for others, and, in the root namespace,
// for its own clients only.
type hostRules struct {
	rules []*destinationRule
	// stale: the rules have changed since the policies were made of them.
	stale                    bool
	local, exported, private []*policy
}

// destinationRules finds the policy for a service.
type destinationRules struct {
	namespace, root string
	labels          map[string]string
	byNamespace     map[string]map[string]*hostRules
	byObject        map[config.Key]*destinationRule
	// bySecret are the rules that name a Secret.
	bySecret map[string]map[config.Key]struct{}
}

func newDestinationRules(o Options) *destinationRules {
	return &destinationRules{
		namespace:   o.Namespace,
		root:        o.RootNamespace,
		labels:      o.Labels,
		byNamespace: map[string]map[string]*hostRules{},
		byObject:    map[config.Key]*destinationRule{},
		bySecret:    map[string]map[config.Key]struct{}{},
	}
}

// replace sets a rule, nil where it is gone. It returns the hosts whose policies may
// have changed. They are merged when they are asked for: of a thousand rules for one host,
// which come in one change, once.
func (d *destinationRules) replace(key config.Key, rule *destinationRule) []*hostRules {
	var touched []*hostRules
	old := d.byObject[key]
	if old != nil {
		h := d.byNamespace[key.Namespace][old.host]
		h.rules = slices.DeleteFunc(h.rules, func(r *destinationRule) bool { return r == old })
		touched = append(touched, h)
		delete(d.byObject, key)
	}
	if rule != nil {
		d.byObject[key] = rule
		hosts := d.byNamespace[key.Namespace]
		if hosts == nil {
			hosts = map[string]*hostRules{}
			d.byNamespace[key.Namespace] = hosts
		}
		h := hosts[rule.host]
		if h == nil {
			h = &hostRules{}
			hosts[rule.host] = h
		}
		at, _ := slices.BinarySearchFunc(h.rules, rule, compareRules)
		h.rules = slices.Insert(h.rules, at, rule)
		if len(touched) == 0 || touched[0] != h {
			touched = append(touched, h)
		}
	}
	for _, h := range touched {
		h.stale = true
	}
	if old != nil {
		d.forget(key.Namespace, old.host)
	}
	return touched
}

// forget drops what is kept for a host of a namespace, where it has no rule any more.
func (d *destinationRules) forget(namespace, host string) {
	hosts := d.byNamespace[namespace]
	if len(hosts[host].rules) > 0 {
		return
	}
	if delete(hosts, host); len(hosts) == 0 {
		delete(d.byNamespace, namespace)
	}
}

// compareRules puts rules for selected workloads first, then the oldest.
func compareRules(a, b *destinationRule) int {
	if a.selected != b.selected {
		if a.selected {
			return -1
		}
		return 1
	}
	return ageOf(a.object).compare(ageOf(b.object))
}

// merge makes policies of the rules where they have changed, and returns h.
func (h *hostRules) merge(root string) *hostRules {
	if !h.stale {
		return h
	}
	h.stale = false
	h.local, h.exported, h.private = nil, nil, nil
	for _, r := range h.rules {
		if r.inOwnNamespace() {
			h.local = mergeRule(h.local, r)
		}
		if !r.ownNamespaceOnly() {
			h.exported = mergeRule(h.exported, r)
		} else if r.object.Namespace == root {
			h.private = mergeRule(h.private, r)
		}
	}
	return h
}

// mergeRule adds a younger rule for a host to the policies of the older ones. It
// gives them the subsets that they lack, and the traffic policy where they have
// none; which of them it joins depends on who may see it and on its selector.
func mergeRule(policies []*policy, r *destinationRule) []*policy {
	separate := true
	for _, p := range policies {
		equal := slices.Equal(p.exportTo, r.exportTo)
		if !equal && (len(p.exportTo) == 0 || !containsAll(r.exportTo, p.exportTo)) {
			separate = true
			continue
		}
		sameSelector := p.selected == r.selected && len(p.selector) == len(r.selector) && selects(p.selector, r.selector)
		if p.selected && r.selected && !sameSelector {
			separate = true
			continue
		}
		separate = !sameSelector
		p.add(r)
	}
	if separate {
		p := &policy{exportTo: r.exportTo, selector: r.selector, selected: r.selected}
		p.add(r)
		policies = append(policies, p)
	}
	return policies
}

func containsAll(set, of []string) bool {
	for _, s := range of {
		if !slices.Contains(set, s) {
			return false
		}
	}
	return true
}

func (p *policy) add(r *destinationRule) {
	p.rules = append(p.rules, r)
	for i, s := range r.spec.Subsets {
		if _, ok := p.subset(s.Name); !ok {
			p.addSubset(subset{s, originOf(r.object, fmt.Sprintf("subsets[%d]", i))})
		}
	}
	if p.traffic == nil {
		p.traffic = r.spec.TrafficPolicy
	}
}

func (p *policy) addSubset(s subset) {
	if p.place == nil && len(p.subsets) == fewSubsets {
		p.place = map[string]int{}
		for i, s := range p.subsets {
			p.place[s.Name] = i
		}
	}
	if p.place != nil {
		p.place[s.Name] = len(p.subsets)
	}
	p.subsets = append(p.subsets, s)
}

// conditions says which subsets of the rules are shadowed by an older rule's.
func (h *hostRules) conditions() []config.Condition {
	if len(h.rules) < 2 {
		return nil
	}
	var out []config.Condition
	// first are, by the names of subsets, the oldest rules that have them: one for each way
	// to be seen.
	first := map[string][]*destinationRule{}
	for _, r := range h.rules {
		for j, s := range r.spec.Subsets {
			at := slices.IndexFunc(first[s.Name], func(older *destinationRule) bool {
				return older.selected == r.selected && slices.Equal(older.exportTo, r.exportTo)
			})
			if at < 0 {
				first[s.Name] = append(first[s.Name], r)
				continue
			}
			out = append(out, newCondition(config.Warning, DuplicateSubset, r.object, fmt.Sprintf("subsets[%d].name", j),
				fmt.Sprintf("%q: the older %s has a subset of that name for %s, which stays; rename one of them", s.Name, first[s.Name][at].object.Key, r.host)))
		}
	}
	return out
}

func hasSubset(r *destinationRule, name string) bool {
	return slices.ContainsFunc(r.spec.Subsets, func(s *networking.Subset) bool { return s.Name == name })
}

// forService returns the policy that this proxy uses for a service, nil where there
// is none. It looks in the proxy's namespace, then in the service's, then in the
// root namespace; in each, the most specific host wins.
func (d *destinationRules) forService(s *service) *policy {
	local := func(h *hostRules) bool { return len(h.merge(d.root).local) > 0 }
	if d.namespace == d.root {
		local = func(h *hostRules) bool { return len(h.merge(d.root).private) > 0 }
	}
	if h, ok := mostSpecific(d.byNamespace[d.namespace], s.host, local); ok {
		if d.namespace == d.root {
			return d.pick(h.private, d.namespace)
		}
		return d.pick(h.local, d.namespace)
	}
	for _, namespace := range []string{s.namespace, d.root} {
		h, ok := mostSpecific(d.byNamespace[namespace], s.host, func(h *hostRules) bool { return len(h.merge(d.root).exported) > 0 })
		if !ok {
			continue
		}
		visible := slices.DeleteFunc(slices.Clone(h.exported), func(p *policy) bool {
			return len(p.exportTo) > 0 && !slices.Contains(p.exportTo, "*") && !slices.Contains(p.exportTo, d.namespace)
		})
		if len(visible) > 0 {
			return d.pick(visible, namespace)
		}
	}
	return nil
}

// pick returns the policy for this workload: one that selects it, else the last of
// those for all.
func (d *destinationRules) pick(policies []*policy, namespace string) *policy {
	var forAll *policy
	for _, p := range policies {
		switch {
		case !p.selected:
			forAll = p
		case namespace == d.namespace && selects(p.selector, d.labels):
			return p
		}
	}
	return forAll
}

// subsetDefined says whether any rule that applies to the host has the subset,
// whoever may see it.
func (d *destinationRules) subsetDefined(host, name string) bool {
	for _, hosts := range d.byNamespace {
		for h, rules := range hosts {
			if covers(h, host) && slices.ContainsFunc(rules.rules, func(r *destinationRule) bool { return hasSubset(r, name) }) {
				return true
			}
		}
	}
	return false
}
