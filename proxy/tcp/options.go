package tcp

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// reportInterval is how often OnMoved is called (Istio's tcp_reporting_duration).
const reportInterval = 5 * time.Second

// defaultIdle is how long nothing may move where no policy says otherwise (Istio's default).
const defaultIdle = time.Hour

// Options are what the sessions of a listener have in common. Only Route is required.
type Options struct {
	// Route says by the newest table where a connection goes: the stream that takes it, nil
	// where none does; the destination that was picked of it; and that cluster at work, nil
	// where there is no such one. It must be safe for concurrent use.
	Route func(info *proxy.Connection) (*router.CompiledStream, *router.CompiledDestination, *upstream.Cluster)
	// Random is the source for the choice of endpoints; nil for the runtime's. It must be
	// safe for concurrent use.
	Random func() uint64
	// OnOpen is called once for each connection that came to an endpoint, and OnMoved every
	// few seconds in which bytes move, and at the end, with those that it was not told of yet.
	// They must return soon and not keep what they are given. They may be nil.
	OnOpen  func(*proxy.Stream)
	OnMoved func(st *proxy.Stream, received, sent int64)
	// OnComplete is called once for each connection, when it is over. It must not keep what
	// it is given. It may be nil.
	OnComplete func(*proxy.Stream)
	// Observe is told what happens to connections, for metrics; it may be nil.
	Observe func(proxy.ConnEvent)
}

func (o *Options) random() uint64 {
	if o.Random == nil {
		return rand.Uint64()
	}
	return o.Random()
}

// idleTimeout returns how long nothing may move through a connection, 0 for any time. What
// the route says goes before what the cluster's policy does.
func idleTimeout(r *router.StreamRoute, c *router.Cluster) time.Duration {
	return max(cmp.Or(r.IdleTimeout, c.Pool.TCPIdleTimeout, defaultIdle), 0)
}
