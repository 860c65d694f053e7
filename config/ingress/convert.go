package ingress

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// NeedsCopy: Gateways read Secrets of the proxy's namespace, and an Ingress' is in its own.
const NeedsCopy config.Reason = "NeedsCopy"

// NeedsSluice: what an object says by an annotation of Sluice's, others do not heed.
const NeedsSluice config.Reason = "NeedsSluice"

// Converted is an object of Istio's API that says what Ingresses say.
type Converted struct {
	// Object is a *resource.Gateway, VirtualService or DestinationRule.
	Object any
	// From are the Ingresses.
	From []config.Key
}

// Convert returns what the Ingresses among objects come to as objects that can be applied in
// their place, in order (Gateways first), and what is wrong with them or lost. Services are
// looked at for the names of their ports. All classes are converted where o names none.
func Convert(objects []*config.Object, o Options, proxy istio.Options) ([]Converted, []config.Condition) {
	o.AllClasses = len(o.Classes) == 0
	t := newTranslator(o.withDefaults(proxy), publicNames, cmp.Or(proxy.Domain, "cluster.local"))
	t.apply(config.Delta{Set: objects})
	keys := make([]config.Key, 0, len(t.outputs))
	for key := range t.outputs {
		keys = append(keys, key)
	}
	order := []string{"Gateway", "DestinationRule", "VirtualService"}
	slices.SortFunc(keys, func(a, b config.Key) int {
		return cmp.Or(slices.Index(order, a.Kind)-slices.Index(order, b.Kind), compareKeys(a, b))
	})
	var out []Converted
	var lost []config.Condition
	for _, key := range keys {
		c := Converted{Object: t.outputs[key].Derived.Typed}
		for _, in := range t.sources[key] {
			c.From = append(c.From, in.object.Key)
		}
		out = append(out, c)
		lost = append(lost, t.lost(c)...)
	}
	conditions := (&Compiler{translator: t}).place(append(lost, t.conditions()...))
	conditions = slices.DeleteFunc(conditions, func(c config.Condition) bool { return c.Reason == OtherClass || c.Reason == NoClass })
	slices.SortStableFunc(conditions, func(a, b config.Condition) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), compareConditions(a, b))
	})
	return out, slices.Compact(conditions)
}

// noWords is what Istio's API has no words for, by the fields of the annotation that says it.
var noWords = []struct {
	fields []string
	what   string
}{
	{[]string{`"allow"`, `"deny"`}, "which clients may come in, and Istio's own gateways let everybody in"},
	{[]string{`"limits"`}, "how much one client may ask for, and Istio's own gateways let every request through"},
	{[]string{`"idleTimeout"`}, "how long nothing may move in an exchange, and Istio's own gateways wait five minutes"},
	{[]string{`"maxRequestBody"`}, "how large a request's body may be, and Istio's own gateways let any through"},
}

// lost says what of an Ingress an object of Istio's API cannot say.
func (t *translator) lost(c Converted) []config.Condition {
	var out []config.Condition
	switch o := c.Object.(type) {
	case *resource.Gateway:
		tls := o.Spec.Servers[0].Tls
		for _, name := range []string{tls.GetCredentialName(), tls.GetCaCertCredentialName()} {
			if name != "" && o.Namespace != t.options.Namespace {
				out = append(out, config.Condition{
					Severity: config.Warning, Reason: NeedsCopy, Object: c.From[0], Field: "tls",
					Message: "Gateways read Secrets of the proxy's namespace: copy Secret " + o.Namespace + "/" + name + " to " + t.options.Namespace,
				})
			}
		}
	case *resource.VirtualService:
		for _, word := range noWords {
			if slices.ContainsFunc(word.fields, func(field string) bool { return strings.Contains(o.Annotations[istio.RoutePolicies], field) }) {
				out = append(out, config.Condition{
					Severity: config.Warning, Reason: NeedsSluice, Object: c.From[0],
					Message: "Istio's API cannot say " + word.what + ": the annotation " + istio.RoutePolicies + " is heeded by Sluice alone",
				})
			}
		}
		if host := o.Spec.Hosts[0]; host != anyHost && !strings.Contains(host, ".") {
			out = append(out, config.Condition{
				Severity: config.Warning, Reason: BadHost, Object: c.From[0], Field: "rules",
				Message: "\"" + host + "\": in Istio's API a host without a dot is a Service of the VirtualService's namespace: use a longer name",
			})
		}
	}
	return out
}
