package pipeline

import (
	"iter"

	"github.com/sluicegate/sluice/config"
)

// leastInPart is how many VirtualServices a part of a change has at least, and mostParts how
// many parts of them there are at most: each costs a look at what is in force.
var leastInPart = 500

const mostParts = 16

// parts yields a change in parts that come to the same one after the other. What a
// VirtualService says takes many times the memory of what is kept of it, so that a compiler
// that is given ten thousand at once needs several times what it keeps, and leaves what it
// keeps scattered over all of that. The other objects, which VirtualServices name and of which
// there are fewer, go first.
func parts(d config.Delta) iter.Seq[config.Delta] {
	return func(yield func(config.Delta) bool) {
		var services []*config.Object
		for _, o := range d.Set {
			if inParts(o) {
				services = append(services, o)
			}
		}
		size := max(leastInPart, (len(services)+mostParts-1)/mostParts)
		if len(services) <= size {
			yield(d)
			return
		}
		// What moved may be among what is set in a later part.
		moved := d.Moved
		d.Moved = nil
		whole := d.Set
		d.Set = make([]*config.Object, 0, len(whole)-len(services))
		for _, o := range whole {
			if !inParts(o) {
				d.Set = append(d.Set, o)
			}
		}
		if !yield(d) {
			return
		}
		for len(services) > 0 {
			n := min(size, len(services))
			part := config.Delta{Set: services[:n:n]}
			if services = services[n:]; len(services) == 0 {
				part.Moved = moved
			}
			if !yield(part) {
				return
			}
		}
	}
}

func inParts(o *config.Object) bool {
	return o.Kind == "VirtualService" && o.Derived == nil
}
