package istio

import (
	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// reading is a VirtualService as it is written. It is many times the size of what comes of it
// and seldom looked at twice, so that it is held during an Apply only: whoever needs it in a
// later one, because something else changed what the VirtualService means, has it decoded
// again, which costs about as much as compiling it.
type reading struct {
	spec *networking.VirtualService
	// policies are those of its own rules, by their paths.
	policies map[string]RoutePolicy
	// rules are its HTTP rules, those of its delegates in place, once they are expanded.
	rules    []rule
	expanded bool
}

// read returns what an object says. typed is its Go type, where that is at hand.
func (c *Compiler) read(o *config.Object, typed *resource.VirtualService) *reading {
	if typed == nil && o.Derived != nil {
		typed, _ = o.Derived.Typed.(*resource.VirtualService)
	} else if typed == nil {
		// It was decoded before without an error, and comes to the same.
		decoded, _ := decode.Decode(o.Opened())
		typed, _ = decoded.(*resource.VirtualService)
	}
	if typed == nil {
		typed = &resource.VirtualService{}
	}
	policies, _ := routePolicies(o, typed)
	return &reading{spec: &typed.Spec, policies: policies}
}

// keep holds a VirtualService's reading until the end of the Apply.
func (c *Compiler) keep(v *virtualService, r *reading) {
	v.reading = r
	c.pending.read = append(c.pending.read, v)
}

// open returns a VirtualService's reading.
func (c *Compiler) open(v *virtualService) *reading {
	if v.reading == nil {
		c.keep(v, c.read(v.object, nil))
	}
	return v.reading
}

// rulesOf returns a VirtualService's HTTP rules, those of its delegates in place.
func (c *Compiler) rulesOf(v *virtualService) []rule {
	r := c.open(v)
	if !r.expanded {
		// What is wrong with them was said when the VirtualService came into force.
		r.rules, r.expanded = c.expand(v).rules, true
	}
	return r.rules
}

// forget drops what was read during an Apply.
func (c *Compiler) forget() {
	for _, v := range c.pending.read {
		v.reading = nil
	}
	c.objects.drop()
	c.strings, c.parts = interned{}, parts{}
}
