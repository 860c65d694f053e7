package ingress

import "github.com/sluicegate/sluice/config"

// Wants returns the keys of the objects that those which the compiler has been given name, and
// that a discovery may not bring by itself, as istio.Compiler's does.
func (c *Compiler) Wants() []config.Key { return c.istio.Wants() }

// MayWant says whether an object has anything to do with what Wants returns.
func MayWant(o *config.Object) bool { return isIngress(o.Key) || isClass(o.Key) }
