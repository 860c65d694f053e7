package ingress

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
)

// translator keeps the Ingresses that there are and says in Istio's API what they come to. A
// change costs the hosts that it touches; one of certificates costs a look at all hosts.
type translator struct {
	options Options
	naming  naming
	domain  string

	known   map[config.Key]*known
	classes map[string]*class
	hosts   map[string]*host
	// services are all there are, by "namespace/name"; ports those whose ports have been
	// looked at, with the hosts that asked.
	services map[string]*config.Object
	ports    map[string]*servicePorts
	layout   layout
	subsets  map[string]*subsets

	pending pending
	// outputs are the objects made, by key.
	outputs map[config.Key]*config.Object
	// sources are the Ingresses that they were made from.
	sources map[config.Key][]*ingress
	// otherServed: an Ingress came into force, or went.
	otherServed bool
}

// known is one Ingress: as it was last written, and as it is in force.
type known struct {
	written *config.Object
	// manifest is that of the last version without an Error, object that version.
	manifest *manifest
	object   *config.Object
	// served is nil where it is not served.
	served *ingress
	// conditions are about the version written, class is why it is not served.
	conditions []config.Condition
	class      *config.Condition
}

// pending is what a change touches.
type pending struct {
	hosts      map[string]struct{}
	layout     bool
	subsets    map[string]struct{}
	set        map[config.Key]*config.Object
	removed    map[config.Key]struct{}
	reclassify bool
}

func newTranslator(o Options, n naming, domain string) *translator {
	t := &translator{
		options: o, naming: n, domain: domain,
		known: map[config.Key]*known{}, classes: map[string]*class{}, hosts: map[string]*host{},
		services: map[string]*config.Object{}, ports: map[string]*servicePorts{}, subsets: map[string]*subsets{},
		outputs: map[config.Key]*config.Object{}, sources: map[config.Key][]*ingress{},
	}
	t.reset()
	return t
}

func (t *translator) reset() {
	t.pending = pending{hosts: map[string]struct{}{}, subsets: map[string]struct{}{}, set: map[config.Key]*config.Object{}, removed: map[config.Key]struct{}{}}
}

// apply takes a change, and returns it with what Ingresses come to in place of them.
func (t *translator) apply(d config.Delta) config.Delta {
	out := config.Delta{Conditions: d.Conditions}
	for _, o := range d.Set {
		switch {
		case isIngress(o.Key):
			t.setIngress(o)
		case isClass(o.Key):
			t.setClass(o)
		default:
			if isService(o.Key) {
				t.setService(o.Namespace+"/"+o.Name, o)
			}
			out.Set = append(out.Set, o)
		}
	}
	for _, key := range d.Removed {
		switch {
		case isIngress(key):
			t.removeIngress(key)
		case isClass(key):
			delete(t.classes, key.Name)
			t.pending.reclassify = true
		default:
			if isService(key) {
				t.setService(key.Namespace+"/"+key.Name, nil)
			}
			out.Removed = append(out.Removed, key)
		}
	}
	for _, place := range d.Moved {
		if !isIngress(place.Key) && !isClass(place.Key) {
			out.Moved = append(out.Moved, place)
		}
	}
	t.settle()
	for _, key := range slices.SortedFunc(maps.Keys(t.pending.set), compareKeys) {
		out.Set = append(out.Set, t.pending.set[key])
	}
	out.Removed = slices.AppendSeq(out.Removed, maps.Keys(t.pending.removed))
	t.reset()
	return out
}

func compareKeys(a, b config.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// setIngress takes an Ingress that is new or changed. One with an Error in its form leaves its
// last good version in force.
func (t *translator) setIngress(o *config.Object) {
	k := t.known[o.Key]
	if k == nil {
		k = &known{}
		t.known[o.Key] = k
	} else if k.written == o {
		return
	}
	k.written = o
	m, conditions := read(o)
	k.conditions = conditions
	if m == nil {
		return
	}
	k.manifest, k.object = m, o
	t.classify(k)
}

// classify brings an Ingress into force, or takes it out, as its class says.
func (t *translator) classify(k *known) {
	before := k.served
	served, why := t.serves(k.object, &k.manifest.Spec)
	if k.class = why; why != nil {
		k.class.Object = k.object.Key
	}
	k.served = nil
	if served {
		k.served = newIngress(k.object, k.manifest)
	}
	t.replace(before, k.served)
}

func (t *translator) removeIngress(key config.Key) {
	if k := t.known[key]; k != nil {
		delete(t.known, key)
		t.replace(k.served, nil)
	}
}

// replace takes an Ingress out of its hosts, and puts another version in.
func (t *translator) replace(before, after *ingress) {
	if before == nil && after == nil {
		return
	}
	if (before == nil) != (after == nil) {
		t.otherServed = true
	}
	if before != nil {
		for _, e := range before.entries {
			t.host(e.host).drop(before)
			t.pending.hosts[e.host] = struct{}{}
		}
	}
	if after != nil {
		for _, e := range after.entries {
			h := t.host(e.host)
			h.entries[after] = append(h.entries[after], e)
			t.pending.hosts[e.host] = struct{}{}
		}
	}
	t.pending.layout = t.pending.layout || !sameCertificates(before, after)
}

func (t *translator) host(name string) *host {
	h := t.hosts[name]
	if h == nil {
		h = &host{name: name, entries: map[*ingress][]*entry{}}
		// Wildcards are served under certificates for hosts that have no rules of their own.
		t.pending.layout = t.pending.layout || len(t.layout.byHost) > 0
		t.hosts[name] = h
	}
	return h
}

func (t *translator) setClass(o *config.Object) {
	m, _ := readClass(o)
	if m == nil {
		return
	}
	t.classes[o.Name] = newClass(o, m)
	t.pending.reclassify = true
}

// settle makes anew what the change touches.
func (t *translator) settle() {
	if t.pending.reclassify {
		for _, k := range t.known {
			if k.manifest == nil {
				continue
			}
			if served, _ := t.serves(k.object, &k.manifest.Spec); served != (k.served != nil) || !served {
				t.classify(k)
			}
		}
	}
	for t.pending.layout || len(t.pending.hosts) > 0 {
		if t.pending.layout {
			t.pending.layout = false
			t.settleLayout()
		}
		hosts := t.pending.hosts
		t.pending.hosts = map[string]struct{}{}
		for name := range hosts {
			if h := t.hosts[name]; h != nil {
				t.settleHost(h)
			}
		}
	}
	for name := range t.pending.subsets {
		t.settleSubsets(name)
	}
	t.settlePlaintext()
}

// put has an object made, and forget has it gone.
func (t *translator) put(o *config.Object, from []*ingress) {
	t.sources[o.Key] = from
	t.outputs[o.Key] = o
	t.pending.set[o.Key] = o
	delete(t.pending.removed, o.Key)
}

func (t *translator) forget(key config.Key) {
	if _, ok := t.outputs[key]; ok {
		delete(t.outputs, key)
		delete(t.sources, key)
		delete(t.pending.set, key)
		t.pending.removed[key] = struct{}{}
	}
}

// changedServed says whether other Ingresses are served than at the last call.
func (t *translator) changedServed() bool {
	changed := t.otherServed
	t.otherServed = false
	return changed
}

// served are the Ingresses that are served, in order.
func (t *translator) served() []config.Key {
	var out []config.Key
	for key, k := range t.known {
		if k.served != nil {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, compareKeys)
	return out
}

// firstServed is the first Ingress that is served, in their order.
func (t *translator) firstServed() config.Key {
	first := allServed
	for key, k := range t.known {
		if k.served != nil && (first == allServed || compareKeys(key, first) < 0) {
			first = key
		}
	}
	return first
}

// conditions are all that are known of Ingresses here.
func (t *translator) conditions() []config.Condition {
	var out []config.Condition
	for _, k := range t.known {
		out = append(out, k.conditions...)
		if k.class != nil {
			out = append(out, *k.class)
		}
		if k.served != nil {
			out = append(out, k.served.conditions...)
		}
	}
	for _, h := range t.hosts {
		out = append(out, h.conditions...)
	}
	return append(out, t.layout.conditions...)
}
