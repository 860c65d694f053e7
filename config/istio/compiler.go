package istio

import (
	"os"
	"time"

	"github.com/sluicegate/sluice/config"
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
	virtualServices *config.Keyed[*virtualService]
	// delegators are the VirtualServices that delegate to one.
	delegators map[objectName]map[objectName]struct{}
	// callers are the VirtualServices with a destination of a host.
	callers     map[string]*config.Keyed[*virtualService]
	shortNames  shortNames
	translation map[uint16]portTranslation

	gateway  *gatewaySockets
	outbound *outbound

	pending pending
	// strings and parts are what is kept in the course of an Apply, once each.
	strings interned
	parts   parts
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
	// merged are the hosts whose DestinationRules have changed.
	merged map[*hostRules]struct{}
	// read are the VirtualServices whose readings are held.
	read []*virtualService
}

// NewCompiler returns a compiler without any objects.
func NewCompiler(o Options) *Compiler {
	o = o.withDefaults()
	here := &place{locality: o.Locality, labels: o.Labels}
	c := &Compiler{
		options:         o,
		objects:         objects{byKey: newObjectTable(), rules: validate.Rules{ACMEForAll: o.ACMEForAll}},
		registry:        newRegistry(o),
		workloads:       newWorkloads(here),
		rules:           newDestinationRules(o),
		conditions:      newConditionSet(),
		gateways:        map[string]*gatewayConfig{},
		virtualServices: config.NewKeyed((*virtualService).key),
		delegators:      map[objectName]map[objectName]struct{}{},
		callers:         map[string]*config.Keyed[*virtualService]{},
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
	*p = pending{
		virtualServices: map[objectName]struct{}{}, judge: map[*virtualService]struct{}{}, rules: map[config.Key]struct{}{}, merged: map[*hostRules]struct{}{},
	}
}

// virtualService returns the VirtualService in force of a name, or nil.
func (c *Compiler) virtualService(name objectName) *virtualService {
	return c.virtualServices.Get(name.virtualService())
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
		if o := c.objects.byKey.written(place.Key); o != nil {
			c.conditions.move(place.Key, place.Line-o.Line)
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
	for host := range affected {
		c.judgeCallers(host)
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
	c.forget()
	c.pending.reset()
	return Result{Spec: c.spec, Conditions: c.conditions.list(d.Conditions)}
}
