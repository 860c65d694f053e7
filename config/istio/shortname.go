package istio

import (
	"strings"

	"github.com/sluicegate/sluice/config"
)

// shortNames are the objects that name a host in short: which host they mean depends
// on whether there is a Kubernetes Service of that name.
type shortNames map[string]map[config.Key]struct{}

// note remembers, and forget forgets, that an object names a host.
func (c *Compiler) noteShort(key config.Key, host, namespace string) {
	if full, ok := c.longest(host, namespace); ok {
		addTo(c.shortNames, full, key)
	}
}

func (c *Compiler) forgetShort(key config.Key, host, namespace string) {
	if full, ok := c.longest(host, namespace); ok {
		c.forgetFull(key, full)
	}
}

// forgetFull forgets that a short name of an object may stand for a host.
func (c *Compiler) forgetFull(key config.Key, full string) {
	takeFrom(c.shortNames, full, key)
}

// longest returns the host that a short name may stand for.
func (c *Compiler) longest(host, namespace string) (string, bool) {
	host = strings.ToLower(host)
	return host + "." + namespace + ".svc." + c.options.Domain, isShort(host)
}

// renamed takes anew the objects whose short names mean another host, now that the
// first Kubernetes Service of the host came, or the last went.
func (c *Compiler) renamed() {
	named := c.registry.named
	c.registry.named = map[string]struct{}{}
	for full := range named {
		for key := range c.shortNames[full] {
			switch key.Kind {
			case "VirtualService":
				c.pending.virtualServices[objectName{key.Namespace, key.Name}] = struct{}{}
			case "Sidecar":
				c.outbound.setFallback()
			case "DestinationRule":
				old := c.rules.byObject[key]
				c.setDestinationRule(key, newDestinationRule(old.object, old.spec, c.registry.fullName(old.spec.Host, key.Namespace)))
			}
		}
	}
}
