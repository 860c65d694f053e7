package upstream

import (
	"net"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Connect returns a new connection to e for the bytes of one client, as need says. It takes
// no longer than the cluster's ConnectTimeout, and ends when a is aborted.
//
// The caller gives the connection back with Disconnect. An error is ErrOverflow where the
// cluster has as many connections as Pool.MaxConnections: nobody waits for one that carries
// a client's bytes, since it may stay for ever (Envoy does the same). Else it says why there
// is no connection; outlier detection has heard of that.
func (c *Cluster) Connect(e *Endpoint, need *Need, a *proxy.Aborter) (net.Conn, error) {
	s := c.state
	e.open.Add(1)
	if over(s.counters[CxActive].Add(1), c.Spec.Pool.MaxConnections) {
		s.unreserve(e)
		// Whoever looked for room meanwhile may have missed what this counted for.
		s.freed(e, 1)
		c.Count(CxOverflow)
		return nil, errConnections
	}
	e.active.Add(1)
	p := patience{aborter: a, id: c.streamIdentity(need)}
	conn, _, err := c.connect(&p, e)
	if err != nil {
		e.active.Add(-1)
		return nil, c.missed(e, &p, err)
	}
	c.Count(CxTotal)
	e.dialed.Add(1)
	e.requests.Add(1)
	// That it can be reached is all that there will be to say for it.
	c.observe(e, 200, proxy.FailNone)
	return conn, nil
}

// streamIdentity returns the identity of a connection for bytes: nothing is offered by ALPN
// on account of the cluster's protocol, which may be one of requests, but HTTP/2 where that is
// what the bytes will be.
func (c *Cluster) streamIdentity(need *Need) *identity {
	var room identity
	id := c.terms.identity(need, &room)
	protocol := router.ProtocolTCP
	if need.HTTP2 {
		protocol = router.ProtocolHTTP2
	}
	if id.terms.protocol == protocol {
		return id
	}
	bytes, own := *id.terms, *id
	bytes.protocol = protocol
	own.terms = &bytes
	return &own
}

// Disconnect closes a connection of Connect. An endpoint that is not in the cluster any more
// keeps those that it has until then.
func (c *Cluster) Disconnect(e *Endpoint, conn net.Conn) {
	conn.Close()
	e.active.Add(-1)
	c.state.unreserve(e)
	c.state.freed(e, 1)
}
