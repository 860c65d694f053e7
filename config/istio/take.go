package istio

import (
	"slices"

	meshv1 "istio.io/api/mesh/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// take hands one object's change to those who keep its kind.
func (c *Compiler) take(ch change) {
	c.conditions.replace(ch.key, ch.conditions)
	if isSecret(ch.key) {
		defer c.judgeSecretless(ch.key)
	}
	if ch.before == ch.after {
		return
	}
	kind := ch.typed
	if kind == nil {
		kind = ch.typedBefore
	}
	switch kind.(type) {
	case *resource.Gateway:
		c.takeGateway(ch)
	case *resource.VirtualService:
		c.pending.virtualServices[objectName{ch.key.Namespace, ch.key.Name}] = struct{}{}
	case *resource.DestinationRule:
		c.takeDestinationRule(ch)
	case *resource.ServiceEntry:
		var services []*service
		if e, ok := ch.typed.(*resource.ServiceEntry); ok {
			services = entryServices(ch.after, &e.Spec)
		}
		c.registry.replace(ch.key, services)
	case *resource.Sidecar:
		c.takeSidecar(ch)
	case *kube.Service:
		var services []*service
		if s, ok := ch.typed.(*kube.Service); ok {
			services = kubeServices(ch.after, &s.Spec, c.options.Domain)
		}
		c.registry.replace(ch.key, services)
		c.pending.translation = true
	case *tlsMaterial:
		c.takeSecret(ch)
	case *kube.Node:
		c.takeNode(ch)
	case *resource.Telemetry:
		c.takeTelemetry(ch)
	case *meshv1.MeshConfig:
		c.takeMeshConfig(ch)
	case *resource.WorkloadEntry, *kube.Pod, *legacyEndpoints, *kube.EndpointSlice:
		c.takeWorkload(ch)
	}
}

func (c *Compiler) takeTelemetry(ch change) {
	var o *telemetryObject
	if t, ok := ch.typed.(*resource.Telemetry); ok {
		o = &telemetryObject{ch.after, &t.Spec}
	}
	if old := c.telemetry.set(ch.key, o); old != nil {
		c.conditions.replace(old, nil)
	}
}

// takeMeshConfig takes the mesh's configuration, which stands in the root namespace.
func (c *Compiler) takeMeshConfig(ch change) {
	if ch.key.Namespace != c.options.RootNamespace {
		return
	}
	c.conditions.replace(c.telemetry.mesh, nil)
	spec, _ := ch.typed.(*meshv1.MeshConfig)
	c.telemetry.mesh = newMeshConfig(ch.after, spec, c.options.LookupEnv)
	c.telemetry.changed = true
}

func (c *Compiler) takeGateway(ch change) {
	name := ch.key.Namespace + "/" + ch.key.Name
	if old := c.gateways[name]; old != nil {
		c.conditions.replace(old, nil)
		delete(c.gateways, name)
	}
	if c.foreign.tell != nil && ch.typed == nil {
		c.foreign.tell(ch.key, false)
	}
	if g, ok := ch.typed.(*resource.Gateway); ok {
		c.gateways[name] = newGatewayConfig(ch.after, &g.Spec)
	}
	c.pending.gateways = true
}

func (c *Compiler) takeDestinationRule(ch change) {
	var rule *destinationRule
	if r, ok := ch.typed.(*resource.DestinationRule); ok {
		rule = newDestinationRule(ch.after, &r.Spec, c.registry.fullName(r.Spec.Host, ch.key.Namespace))
	}
	c.setDestinationRule(ch.key, rule)
}

// setDestinationRule puts a rule into force, nil where it is gone.
func (c *Compiler) setDestinationRule(key config.Key, rule *destinationRule) {
	var hosts []string
	if old := c.rules.byObject[key]; old != nil {
		c.conditions.replace(old, nil)
		hosts = append(hosts, old.host)
		c.rules.fileCredentials(key, old, c.options.Namespace, false)
		c.forgetShort(key, old.spec.Host, key.Namespace)
	}
	if rule != nil && !slices.Contains(hosts, rule.host) {
		hosts = append(hosts, rule.host)
	}
	if rule != nil {
		c.conditions.replace(rule, rule.notServed())
		c.rules.fileCredentials(key, rule, c.options.Namespace, true)
		c.noteShort(key, rule.spec.Host, key.Namespace)
	}
	c.pending.rules[key] = struct{}{}
	for _, h := range c.rules.replace(key, rule) {
		c.pending.merged[h] = struct{}{}
	}
	for _, host := range hosts {
		c.clusters.hostChanged(host)
		c.pending.ruleHosts = append(c.pending.ruleHosts, host)
		c.pending.unhashed = append(c.pending.unhashed, host)
	}
}
