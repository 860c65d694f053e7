package istio

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/config/istio/validate"
)

// objects are the objects of the API with the versions of them that are in force.
type objects struct {
	byKey objectTable
	// rules are what objects are held to.
	rules validate.Rules
	// decoded are the VirtualServices that were set since their types were last dropped.
	decoded []*object
}

// object is one API object: the version last written, and the one in force.
type object struct {
	written *config.Object
	// inForce is the last version without an Error, nil where there was none;
	// typed is its Go type. That of a VirtualService is dropped after the Apply in which it
	// came, so that a nil pointer stays: see reading.
	inForce *config.Object
	typed   any
}

func (o *object) key() config.Key { return o.written.Key }

// change is what a Delta did to one object's version in force. A nil object was
// not there before, or is gone.
type change struct {
	key           config.Key
	before, after *config.Object
	typedBefore   any
	typed         any
	conditions    []config.Condition
}

// set takes new versions of objects. Where one has an Error its last good version
// stays in force.
func (s *objects) set(all []*config.Object) []change {
	fresh := slices.DeleteFunc(slices.Clone(all), func(o *config.Object) bool {
		return s.byKey.written(o.Key) == o
	})
	changes := make([]change, 0, len(fresh))
	for i, v := range checkAll(fresh, s.rules) {
		o := fresh[i]
		known := s.byKey.Get(o.Key)
		if known == nil {
			known = &object{written: o}
		}
		s.byKey.set(known)
		c := change{key: o.Key, before: known.inForce, typedBefore: known.typed, conditions: v.conditions}
		known.written = o
		if v.typed != nil {
			known.inForce, known.typed = o, v.typed
			if _, ok := v.typed.(*resource.VirtualService); ok {
				s.decoded = append(s.decoded, known)
			}
		}
		c.after, c.typed = known.inForce, known.typed
		changes = append(changes, c)
	}
	return changes
}

// remove forgets an object.
func (s *objects) remove(key config.Key) (change, bool) {
	known := s.byKey.Get(key)
	if known == nil {
		return change{}, false
	}
	s.byKey.delete(key)
	return change{key: key, before: known.inForce, typedBefore: known.typed}, true
}

// drop drops the types of the VirtualServices that were set.
func (s *objects) drop() {
	for _, o := range s.decoded {
		o.typed = (*resource.VirtualService)(nil)
		s.byKey.settle(o)
	}
	s.decoded = nil
	s.byKey.tidy()
}

// verdict is what an object is, and what is wrong with it. The typed object is nil
// where it must not enter force.
type verdict struct {
	typed      any
	conditions []config.Condition
}

// checkAll decodes and judges objects, on all processors: this is most of the work
// of a first load.
func checkAll(all []*config.Object, rules validate.Rules) []verdict {
	out := make([]verdict, len(all))
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			out[i] = check(all[i], rules)
		}
	}
	var helpers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(all)/32) {
		helpers.Go(work)
	}
	work()
	helpers.Wait()
	return out
}

func check(o *config.Object, rules validate.Rules) verdict {
	if o.Derived != nil {
		return verdict{o.Derived.Typed, nil}
	}
	opened := o.Opened()
	if opened != o && o.Kind != "VirtualService" {
		// What comes of it may share the text, which is that of other objects too.
		opened.Source = config.Plain(bytes.Clone(opened.Text()))
	}
	typed, conditions := decode.Decode(opened)
	if typed == nil {
		return verdict{nil, conditions}
	}
	if s, ok := typed.(*kube.Secret); ok {
		return checkedSecret(o, s, conditions)
	}
	found := rules.Object(typed)
	o.Place(found)
	if v, ok := typed.(*resource.VirtualService); ok {
		_, wrong := routePolicies(o, v)
		found = append(found, wrong...)
	}
	if slices.ContainsFunc(found, func(c config.Condition) bool { return c.Severity == config.Error }) {
		typed = nil
	}
	return verdict{typed, append(conditions, found...)}
}

// checkedSecret keeps of a Secret what TLS needs.
func checkedSecret(o *config.Object, s *kube.Secret, conditions []config.Condition) verdict {
	material, found := checkSecret(o, s)
	conditions = append(conditions, found...)
	if material == nil {
		return verdict{nil, conditions}
	}
	return verdict{material, conditions}
}

// age orders objects: the oldest first, among equals the one whose name, then
// namespace, sorts first.
type age struct {
	created         config.Time
	name, namespace string
}

func ageOf(o *config.Object) age {
	return age{created: o.Created, name: o.Name, namespace: o.Namespace}
}

func (a age) compare(b age) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name), cmp.Compare(a.namespace, b.namespace))
}
