package ingress

import (
	"cmp"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

const istioGroup = "networking.istio.io"

// Options say which Ingresses are served, and where. The zero value serves the class sluice
// at ports 80 and 443.
type Options struct {
	// Classes are the names of classes that are served whether there is an IngressClass or
	// not; empty means DefaultClass.
	Classes []string
	// Controller is the spec.controller of IngressClasses that are served; empty means
	// DefaultController.
	Controller string
	// WithoutClass serves Ingresses that name no class, too, and AllClasses every one.
	WithoutClass, AllClasses bool
	// HTTPPort and HTTPSPort are those that clients address; 0 means 80 and 443.
	HTTPPort, HTTPSPort uint16
	// DefaultCertificate is "namespace/name" of the Secret for hosts with TLS that name
	// none; empty for none.
	DefaultCertificate string
	// Served, where not nil, is called during Apply with the Ingresses that are served,
	// in order, first and whenever they are others than before. It must not keep the list.
	Served func([]config.Key)

	// Labels, Namespace and ACMEForAll are the proxy's, from istio.Options.
	Labels     map[string]string
	Namespace  string
	ACMEForAll bool
}

func (o Options) withDefaults(proxy istio.Options) Options {
	if len(o.Classes) == 0 {
		o.Classes = []string{DefaultClass}
	}
	o.Controller = cmp.Or(o.Controller, DefaultController)
	o.HTTPPort, o.HTTPSPort = cmp.Or(o.HTTPPort, 80), cmp.Or(o.HTTPSPort, 443)
	o.Labels, o.Namespace, o.ACMEForAll = proxy.Labels, cmp.Or(proxy.Namespace, "istio-system"), proxy.ACMEForAll
	return o
}

// Compiler turns Ingresses, and all that package istio reads, into the configuration of a
// gateway. It is not safe for concurrent use.
type Compiler struct {
	istio      *istio.Compiler
	translator *translator
	// moved says by how many lines an Ingress' text has moved since it was read.
	moved  map[config.Key]int
	placed map[place]int
	told   bool
}

// place is a field of an object, whose line is costly to find.
type place struct {
	object *config.Object
	field  string
}

// NewCompiler returns a compiler without any objects, for a gateway.
func NewCompiler(o Options, proxy istio.Options) *Compiler {
	return &Compiler{
		istio:      istio.NewCompiler(proxy),
		translator: newTranslator(o.withDefaults(proxy), internalNames, cmp.Or(proxy.Domain, "cluster.local")),
		moved:      map[config.Key]int{},
	}
}

// Apply takes a change to the objects and returns what they come to.
func (c *Compiler) Apply(d config.Delta) istio.Result {
	for _, o := range d.Set {
		delete(c.moved, o.Key)
	}
	for _, key := range d.Removed {
		delete(c.moved, key)
	}
	for _, p := range d.Moved {
		if k := c.translator.known[p.Key]; k != nil {
			c.moved[p.Key] = p.Line - k.written.Line
		}
	}
	result := c.istio.Apply(c.translator.apply(d))
	result.Conditions = c.place(append(slices.Clip(result.Conditions), c.translator.conditions()...))
	slices.SortStableFunc(result.Conditions[min(len(d.Conditions), len(result.Conditions)):], compareConditions)
	if served := c.translator.options.Served; served != nil && (c.translator.changedServed() || !c.told) {
		c.told = true
		served(c.translator.served())
	}
	return result
}

// place says of conditions on Ingresses where they stand.
func (c *Compiler) place(all []config.Condition) []config.Condition {
	placed := map[place]int{}
	for i := range all {
		condition := &all[i]
		if condition.Object == allServed {
			condition.Object = c.translator.firstServed()
		}
		k := c.translator.known[condition.Object]
		if k == nil {
			continue
		}
		o := k.written
		condition.File = o.File
		if condition.Line == 0 {
			at := place{o, condition.Field}
			line, found := c.placed[at]
			if !found {
				line = o.Locate(condition.Field)
			}
			placed[at] = line
			condition.Line = line
		}
		condition.Line += c.moved[o.Key]
	}
	c.placed = placed
	return all
}

func compareConditions(a, b config.Condition) int {
	return cmp.Or(compareKeys(a.Object, b.Object), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
}

// derived returns an object that was made from others.
func derived(kind, namespace, name string, created config.Time, typed any, from func(string) (config.Key, string)) *config.Object {
	return &config.Object{
		Key: config.Key{Group: istioGroup, Kind: kind, Namespace: namespace, Name: name}, Version: "v1", Created: created,
		Derived: &config.Derived{Typed: typed, From: from},
	}
}
