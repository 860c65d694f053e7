package ingress

import "github.com/sluicegate/sluice/config"

// Wants returns what the objects that the compiler has been given need of others,
// as istio.Compiler does.
func (c *Compiler) Wants() config.Wants { return c.istio.Wants() }

// MayWant says whether an object has anything to do with what Wants returns.
func MayWant(o *config.Object) bool { return isIngress(o.Key) || isClass(o.Key) }
