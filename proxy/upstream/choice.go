package upstream

import "github.com/sluicegate/sluice/router"

// Choice is what a balancer may look at for one try of one request.
type Choice struct {
	// Random is an evenly spread number, new for each try.
	Random uint64
	// Target is the address that the request names, for a cluster of ResolutionOriginal.
	Target string
	// Hash is the request's hash where Hashed, for RingHash and Maglev.
	Hash   uint64
	Hashed bool
	// Tried are endpoints of earlier tries, passed over where another one can be had.
	Tried []*Endpoint
	// AnyLocality lets the choice fall outside the locality that would serve the request
	// (Istio retryRemoteLocalities).
	AnyLocality bool
}

// Pick returns the endpoint for a try, or nil where there is none to use. It takes no lock
// and allocates nothing, but for a cluster that follows the request's target.
func (c *Cluster) Pick(ch *Choice) *Endpoint {
	if c.Spec.Resolution == router.ResolutionOriginal {
		return c.state.original(ch.Target)
	}
	return c.picks.Load().pick(ch)
}

// refresh makes the set to pick from anew: after a change of what it is made of, such as
// an ejection.
func (c *Cluster) refresh() {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	c.rebuild()
}
