package istio

import (
	"cmp"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// objects are the objects of the API with the versions of them that are in force.
type objects struct {
	byKey map[config.Key]*object
}

// object is one API object: the version last written, and the one in force.
type object struct {
	written *config.Object
	// inForce is the last version without an Error, nil where there was none;
	// typed is its Go type.
	inForce *config.Object
	typed   any
}

// change is what a Delta did to one object's version in force. A nil object was
// not there before, or is gone.
type change struct {
	key              config.Key
	before, after    *config.Object
	typedBefore      any
	typed            any
	conditions       []config.Condition
	conditionsChange bool
}

// set takes a new version of an object. Where it has an Error its last good version
// stays in force.
func (s *objects) set(o *config.Object) (change, bool) {
	known := s.byKey[o.Key]
	if known == nil {
		known = &object{}
		s.byKey[o.Key] = known
	}
	if known.written == o {
		return change{}, false
	}
	known.written = o
	c := change{key: o.Key, before: known.inForce, typedBefore: known.typed, conditionsChange: true}
	typed, conditions := check(o)
	c.conditions = conditions
	if typed != nil {
		known.inForce, known.typed = o, typed
	}
	c.after, c.typed = known.inForce, known.typed
	return c, true
}

// remove forgets an object.
func (s *objects) remove(key config.Key) (change, bool) {
	known := s.byKey[key]
	if known == nil {
		return change{}, false
	}
	delete(s.byKey, key)
	return change{key: key, before: known.inForce, typedBefore: known.typed, conditionsChange: true}, true
}

// check decodes an object and judges it. The typed object is nil where it must not
// enter force.
func check(o *config.Object) (any, []config.Condition) {
	typed, conditions := decode.Decode(o)
	for i := range conditions {
		c := &conditions[i]
		if c.Object == (config.Key{}) {
			c.Object = o.Key
		}
		if c.File == "" && o.File != "" {
			c.File, c.Line = o.File, o.Locate(c.Field)
		}
		if c.Severity == config.Error {
			typed = nil
		}
	}
	return typed, conditions
}

// age orders objects: the oldest first, among equals the one whose name, then
// namespace, sorts first.
type age struct {
	created         time.Time
	name, namespace string
}

func ageOf(o *config.Object) age {
	return age{created: o.Created, name: o.Name, namespace: o.Namespace}
}

func (a age) compare(b age) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name), cmp.Compare(a.namespace, b.namespace))
}
