package istio

import (
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/sluicegate/sluice/config"
)

// Wants returns the keys of the objects that those which the compiler has been given name, and
// that a discovery may not bring by itself: Secrets, whether or not they are there; and for
// each namespace where a ServiceEntry selects Pods, a key of kind Pod without a name, which
// means all of them with their addresses. The order is any.
func (c *Compiler) Wants() (keys []config.Key) {
	wanted := map[config.Key]struct{}{}
	secret := func(name string) {
		key := config.Key{Kind: "Secret"}
		key.Namespace, key.Name, _ = strings.Cut(name, "/")
		if key.Name != "" && !strings.ContainsAny(key.Name, "/:") {
			wanted[key] = struct{}{}
		}
	}
	for _, g := range c.gatewaysInOrder() {
		for _, s := range g.spec.Servers {
			for _, name := range c.serverSecrets(g, s.GetTls()) {
				secret(name)
			}
		}
	}
	for name := range c.rules.bySecret {
		secret(name)
	}
	for _, o := range c.objects.byKey {
		if e, ok := o.typed.(*networkingv1.ServiceEntry); ok && e.Spec.WorkloadSelector != nil {
			wanted[config.Key{Kind: "Pod", Namespace: o.inForce.Namespace}] = struct{}{}
		}
	}
	for key := range wanted {
		keys = append(keys, key)
	}
	return keys
}

// MayWant says whether an object's text has anything that Wants looks for, so that a compiler
// that is for nothing else can be spared the rest.
func MayWant(o *config.Object) bool {
	if o.Group != "networking.istio.io" {
		return false
	}
	switch o.Kind {
	case "Gateway":
		return true
	case "DestinationRule":
		return strings.Contains(string(o.Manifest), "redential")
	case "ServiceEntry":
		return strings.Contains(string(o.Manifest), "orkload")
	}
	return false
}
