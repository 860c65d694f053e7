package istio

import (
	"maps"
	"slices"

	"github.com/sluicegate/sluice/router"
)

// settleServices lets changed services reach the clusters and VirtualServices that
// name them.
func (c *Compiler) settleServices() {
	c.renamed()
	if c.outbound != nil {
		c.outbound.settleScope()
	}
	for host := range c.registry.settle() {
		c.clusters.hostChanged(host)
		for _, also := range c.registry.aliasesOf(host) {
			c.callersChanged(also)
		}
		c.callersChanged(host)
		if c.outbound != nil {
			c.outbound.serviceChanged(host)
		} else {
			c.gateway.autoChanged(host)
		}
	}
	c.settleRules()
	if c.pending.translation && c.gateway != nil {
		if now := c.portTranslations(); !maps.EqualFunc(now, c.translation, sameTranslation) {
			c.translation = now
			c.pending.gateways = true
		}
	}
}

// settleRules lets changed DestinationRules reach the VirtualServices with a destination
// that they concern: how a request is tried again depends on what picks its endpoint.
func (c *Compiler) settleRules() {
	for _, rule := range c.pending.unhashed {
		if !isWildcard(rule) {
			c.callersChanged(rule)
			for _, also := range c.registry.aliasesOf(rule) {
				c.callersChanged(also)
			}
			continue
		}
		for host := range c.callers {
			if covers(rule, c.registry.resolveAlias(host)) {
				c.callersChanged(host)
			}
		}
	}
	if c.gateway != nil {
		for _, rule := range c.pending.unhashed {
			c.gateway.autoChanged(rule)
		}
	}
	c.pending.unhashed = nil
}

func sameTranslation(a, b portTranslation) bool {
	return a.target == b.target && slices.Equal(a.nodePorts, b.nodePorts)
}

// callersChanged compiles the VirtualServices anew whose destinations mean other
// clusters now that a host's services changed.
func (c *Compiler) callersChanged(host string) {
	callers := c.callers[host]
	if callers == nil {
		return
	}
	for v := range callers.All() {
		c.pending.judge[v] = struct{}{}
		for u := range v.eachUnit() {
			if c.stale(v, u) {
				c.pending.virtualServices[v.name()] = struct{}{}
				break
			}
		}
	}
}

// settleListeners returns the listeners and whether they changed.
func (c *Compiler) settleListeners() ([]*router.Listener, bool) {
	if c.outbound != nil {
		return c.outbound.settle()
	}
	if c.pending.gateways {
		merge := c.mergeGateways()
		for _, g := range c.gateways {
			c.conditions.replace(g, merge.conditions[g])
		}
		c.gateway.rebuild(merge, c.virtualServices)
		for v := range c.virtualServices.All() {
			c.pending.judge[v] = struct{}{}
		}
	}
	return c.gateway.settle()
}
