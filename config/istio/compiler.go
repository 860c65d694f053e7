package istio

import (
	"maps"
	"os"
	"slices"
	"time"

	meshv1 "istio.io/api/mesh/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/config/istio/validate"
	"github.com/sluicegate/sluice/router"
)

// Role is what a proxy is for.
type Role int

const (
	// Gateway serves the servers of the Gateways that select it.
	Gateway Role = iota
	// Sidecar serves a workload's outbound traffic.
	Sidecar
)

// Options say which proxy a Spec is for. The zero value is a gateway without labels
// in istio-system.
type Options struct {
	Role Role
	// Labels are those of this proxy's workload: Gateways select by them, and so do
	// Sidecars and the sourceLabels of VirtualServices.
	Labels map[string]string
	// Namespace is this proxy's; empty means istio-system for a gateway and default
	// for a sidecar.
	Namespace string
	// Domain ends the names of Kubernetes Services; empty means cluster.local.
	Domain string
	// Locality is where this proxy runs, "region/zone/subzone", of which the end may be
	// left out; empty where it is not known. Endpoints near it go first.
	Locality string
	// Node is the name of the node that this proxy runs on, whose labels say where that is;
	// without effect where Locality does. Empty where it is not known.
	Node string
	// RootNamespace is where defaults for all namespaces stand; empty means
	// istio-system.
	RootNamespace string
	// AllGateways takes every Gateway as selecting this proxy, and looks at the
	// destinations of VirtualServices for other proxies too: for judging a folder
	// rather than serving it.
	AllGateways bool
	// ACMEForAll has certificates issued for the servers of protocol HTTPS and mode SIMPLE
	// that name none, as credentialName: acme:// does for one.
	ACMEForAll bool
	// CheckTelemetry says which expressions and formats of a plan do not compile; nil takes
	// them all. It is telemetry.Check, which this package must not know.
	CheckTelemetry func(*router.Telemetry) []router.TelemetryProblem
	// LookupEnv reads the proxy's environment, which span tags may name; nil is os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Foreign, where not nil, is called during Apply for Gateways and VirtualServices that have
	// changed, or whose Gateways have, and says whether they concern other proxies only: no
	// Gateway that they are, or are for, selects this one. Of objects that are gone it says no.
	Foreign func(object config.Key, foreign bool)
	// Now is the time by which certificates are said to expire; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Domain == "" {
		o.Domain = "cluster.local"
	}
	if o.RootNamespace == "" {
		o.RootNamespace = "istio-system"
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	switch {
	case o.Namespace != "":
	case o.Role == Sidecar:
		o.Namespace = "default"
	default:
		o.Namespace = "istio-system"
	}
	return o
}

// Result is what the objects come to.
type Result struct {
	// Spec is the whole configuration. It is the one of the last time where nothing
	// in it changed, and shares every part that did not.
	Spec *router.Spec
	// Conditions is everything wrong with the objects, those of the Delta first, the
	// others by object and field.
	Conditions []config.Condition
}

// Compiler turns API objects into the configuration of one proxy. It keeps what it
// worked out, so that a change costs what it changes. It is not safe for concurrent
// use.
type Compiler struct {
	options Options
	objects objects

	registry   *registry
	workloads  *workloads
	rules      *destinationRules
	clusters   *clusters
	conditions *conditionSet
	secrets    *secrets
	telemetry  *telemetries
	nodes      nodes
	foreign    foreign
	place      *place

	// gateways are by "namespace/name".
	gateways        map[string]*gatewayConfig
	virtualServices map[objectName]*virtualService
	// delegators are the VirtualServices that delegate to one.
	delegators map[objectName]map[objectName]struct{}
	// callers are the VirtualServices with a destination of a host.
	callers     map[string]map[objectName]struct{}
	shortNames  shortNames
	translation map[uint16]portTranslation

	gateway  *gatewaySockets
	outbound *outbound

	pending pending
	spec    *router.Spec
}

// pending is what the objects of one Delta touch.
type pending struct {
	gateways        bool
	translation     bool
	virtualServices map[objectName]struct{}
	// ruleHosts are the hosts of DestinationRules, and unhashed those of them whose
	// callers are not yet looked at.
	ruleHosts, unhashed []string
	// judge are the VirtualServices whose conditions may have changed.
	judge map[*virtualService]struct{}
	// rules are the DestinationRules whose credentials may have come or gone.
	rules map[config.Key]struct{}
}

// NewCompiler returns a compiler without any objects.
func NewCompiler(o Options) *Compiler {
	o = o.withDefaults()
	here := &place{locality: o.Locality, labels: o.Labels}
	c := &Compiler{
		options:         o,
		objects:         objects{byKey: map[config.Key]*object{}, rules: validate.Rules{ACMEForAll: o.ACMEForAll}},
		registry:        newRegistry(o),
		workloads:       newWorkloads(here),
		rules:           newDestinationRules(o),
		conditions:      newConditionSet(),
		gateways:        map[string]*gatewayConfig{},
		virtualServices: map[objectName]*virtualService{},
		delegators:      map[objectName]map[objectName]struct{}{},
		callers:         map[string]map[objectName]struct{}{},
		shortNames:      shortNames{},
		secrets:         newSecrets(o.Now),
		telemetry:       newTelemetries(o),
		nodes:           nodes{own: o.Node, byName: map[string]map[string]string{}},
		place:           here,
		foreign:         foreign{o.Foreign, map[objectName]struct{}{}},
	}
	c.clusters = newClusters(c.registry, c.rules, c.workloads, here)
	c.pending.reset()
	if o.Role == Sidecar {
		c.outbound = newOutbound(c)
	} else {
		c.gateway = newGatewaySockets(c)
	}
	return c
}

func (p *pending) reset() {
	*p = pending{virtualServices: map[objectName]struct{}{}, judge: map[*virtualService]struct{}{}, rules: map[config.Key]struct{}{}}
}

// Apply takes a change to the objects and returns what they come to. An object with
// an Error of its own is left out, and its last version without one stays in force;
// the others are not concerned.
func (c *Compiler) Apply(d config.Delta) Result {
	for _, change := range c.objects.set(d.Set) {
		c.conditions.move(change.key, 0)
		c.take(change)
	}
	for _, key := range d.Removed {
		if change, ok := c.objects.remove(key); ok {
			c.conditions.move(key, 0)
			c.take(change)
		}
	}
	for _, place := range d.Moved {
		if o := c.objects.byKey[place.Key]; o != nil {
			c.conditions.move(place.Key, place.Line-o.written.Line)
		}
	}
	for again := true; again; again = len(c.registry.changed) > 0 {
		// VirtualServices import the services that they route to.
		c.settleServices()
		c.settleVirtualServices()
	}
	listeners, changed := c.settleListeners()
	c.settleNodes()
	for source, found := range c.telemetry.settle(c.clusters) {
		c.conditions.replace(source, found)
	}
	clustersChanged, affected := c.clusters.settle()
	for user := range affected {
		if user != nil {
			c.pending.judge[user] = struct{}{}
		}
	}
	if changed = changed || clustersChanged || c.spec == nil || c.spec.Telemetry != c.telemetry.built; changed || c.secrets.due() {
		clusters := c.clusters.all()
		if c.settleSecrets(listeners, clusters) || changed {
			c.spec = &router.Spec{Listeners: listeners, Clusters: clusters, Secrets: c.secrets.listed, Telemetry: c.telemetry.built}
		}
	}
	c.judgeUnbound()
	c.judge()
	c.judgeRules()
	c.foreign.settle(c)
	c.pending.reset()
	return Result{Spec: c.spec, Conditions: c.conditions.list(d.Conditions)}
}

// take hands one object's change to those who keep its kind.
func (c *Compiler) take(ch change) {
	c.conditions.replace(ch.key, ch.conditions)
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
		c.conditions.replace(h, h.conditions())
	}
	for _, host := range hosts {
		c.clusters.hostChanged(host)
		c.pending.ruleHosts = append(c.pending.ruleHosts, host)
		c.pending.unhashed = append(c.pending.unhashed, host)
	}
}

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
	for name := range c.callers[host] {
		v := c.virtualServices[name]
		c.pending.judge[v] = struct{}{}
		for _, u := range v.units {
			if c.stale(u) {
				c.pending.virtualServices[name] = struct{}{}
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
		for _, v := range c.virtualServices {
			c.pending.judge[v] = struct{}{}
		}
	}
	return c.gateway.settle()
}
