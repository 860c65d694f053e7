package forward

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
)

// Dial connects to an endpoint of a cluster of the newest table, by its name: what the proxy
// itself has to say to others, such as a collector of traces, goes the way of all traffic. The
// connection is inside TLS where the cluster's policy wants it; with http2, that is offered by
// ALPN where the policy names no other protocols. It counts as one of the cluster's until it is
// closed. An error names the cluster.
func (e *Engine) Dial(ctx context.Context, cluster string, http2 bool) (net.Conn, error) {
	c := e.snapshot.Load().byName(cluster)
	if c == nil {
		return nil, fmt.Errorf("there is no cluster %q", cluster)
	}
	aborter := proxy.NewWaiter()
	defer context.AfterFunc(ctx, aborter.Abort)()
	choice := upstream.Choice{Random: e.options.Random()}
	endpoint := c.Pick(&choice)
	if endpoint == nil && c.AwaitFor(left(ctx), aborter) {
		endpoint = c.Pick(&choice)
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("cluster %q: %w", cluster, ctx.Err())
	case endpoint == nil && c.Unresolved() != nil:
		return nil, fmt.Errorf("cluster %q: %w", cluster, c.Unresolved())
	case endpoint == nil:
		return nil, fmt.Errorf("cluster %q has no healthy endpoint", cluster)
	}
	need := upstream.Need{Authority: c.Spec.Host, HTTP2: http2}
	conn, err := c.Connect(endpoint, &need, aborter)
	if err != nil {
		return nil, fmt.Errorf("cluster %q, endpoint %s: %w", cluster, endpoint.Address, cmp.Or(ctx.Err(), err))
	}
	return &dialed{Conn: conn, close: sync.OnceFunc(func() { c.Disconnect(endpoint, conn) })}, nil
}

// left returns how much time ctx gives, 0 for any.
func left(ctx context.Context) time.Duration {
	until, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(until), time.Millisecond)
}

// dialed is a connection that a cluster counts until it is closed.
type dialed struct {
	net.Conn
	close func()
}

// Close implements net.Conn.
func (d *dialed) Close() error {
	d.close()
	return nil
}
