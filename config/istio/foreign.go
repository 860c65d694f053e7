package istio

import (
	"github.com/sluicegate/sluice/config"
)

// foreign tells which objects concern other proxies only, so that nobody says of them here that
// they are in force, or why not: Gateways that do not select this proxy, and VirtualServices all
// of whose Gateways are such. Objects that name no Gateway that is there concern everybody.
type foreign struct {
	tell func(object config.Key, foreign bool)
	// touched are the VirtualServices that may be foreign now, or not any more.
	touched map[objectName]struct{}
}

// touch notes VirtualServices that have changed, and those that they delegate to.
func (f *foreign) touch(c *Compiler, names map[objectName]struct{}) {
	if f.tell == nil {
		return
	}
	for name := range names {
		f.touched[name] = struct{}{}
		if v := c.virtualService(name); v != nil {
			for _, d := range v.particulars().delegates {
				f.touched[d] = struct{}{}
			}
		}
	}
}

// settle tells of what was touched; of everything, where Gateways have changed.
func (f *foreign) settle(c *Compiler) {
	if f.tell == nil {
		return
	}
	if c.pending.gateways {
		for _, g := range c.gateways {
			if g.object.Derived == nil {
				f.tell(g.object.Key, !c.selected(g))
			}
		}
		// Those that are gone stay among the touched: of them the answer is no.
		for v := range c.virtualServices.All() {
			f.touched[v.name()] = struct{}{}
		}
	}
	for name := range f.touched {
		v := c.virtualService(name)
		if v == nil || v.object.Derived == nil {
			key := config.Key{Group: "networking.istio.io", Kind: "VirtualService", Namespace: name.namespace, Name: name.name}
			f.tell(key, v != nil && c.isForeign(name, v))
		}
	}
	clear(f.touched)
}

// isForeign says whether a VirtualService concerns other proxies only. One that others delegate
// to concerns those that they do.
func (c *Compiler) isForeign(name objectName, v *virtualService) bool {
	some := false
	if v.isDelegate() {
		for root := range c.delegators[name] {
			if r := c.virtualService(root); r == nil || r.isDelegate() || !c.isForeign(root, r) {
				return false
			}
			some = true
		}
		return some
	}
	for _, gateway := range v.gateways.all() {
		if g := c.gateways[gateway]; g != nil {
			if c.selected(g) {
				return false
			}
			some = true
		}
	}
	return some
}

// selected says whether a Gateway selects this proxy.
func (c *Compiler) selected(g *gatewayConfig) bool {
	return c.options.AllGateways || selects(g.spec.Selector, c.options.Labels)
}
