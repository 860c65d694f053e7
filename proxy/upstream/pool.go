package upstream

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net"
	"os"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http2"
	"github.com/sluicegate/sluice/router"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultIdleTimeout    = time.Hour
	// quietFor is how long a connection may have been idle to be used again without a look
	// at it. The look is a system call, shared by those that will be used next; within so
	// short a time it would hardly ever find anything.
	quietFor = int64(2 * time.Millisecond)
)

// errGone says that nobody waits for the connection any more.
var errGone = errors.New("the client went away while a connection was waited for")

// poolTimes are a router.Pool's times, with the defaults: nanoseconds, and what a socket
// is told.
type poolTimes struct {
	idle, age int64
	keepalive net.KeepAliveConfig
}

func newPoolTimes(p *router.Pool) poolTimes {
	t := poolTimes{
		idle: int64(cmp.Or(p.IdleTimeout, defaultIdleTimeout)),
		age:  int64(cmp.Or(p.MaxConnectionAge, math.MaxInt64)),
	}
	// Of a policy that says something, what it leaves out is the operating system's to say.
	if p.KeepaliveProbes != 0 || p.KeepaliveTime != 0 || p.KeepaliveIv != 0 {
		t.keepalive = net.KeepAliveConfig{
			Enable: true,
			Idle:   cmp.Or(p.KeepaliveTime, -1), Interval: cmp.Or(p.KeepaliveIv, -1), Count: cmp.Or(p.KeepaliveProbes, -1),
		}
	}
	return t
}

// Acquire returns a connection to e for one exchange, as need says, or a stream of one that
// several share: one that was used before, which reused tells, or a new one. Where fresh asks
// for it, a connection of HTTP/1.1 is always new. Where Pool.MaxConnections is reached it
// waits for one to become free, first come, first served.
// It takes no longer than within, where that is not 0, and no longer than the cluster's
// ConnectTimeout to connect; and it ends when the client of down, which may be nil, goes
// away.
//
// The caller gives the connection back with Release. An error is ErrOverflow, or says why
// there is no connection; outlier detection has heard of a failure to connect.
func (c *Cluster) Acquire(e *Endpoint, need *Need, fresh bool, within time.Duration, down proxy.Downstream) (up proxy.Upstream, reused bool, err error) {
	var room identity
	id := c.terms.identity(need, &room)
	e.active.Add(1)
	if need.Now == 0 {
		need.pass()
	}
	if id.shares() && !e.shared.knowsHTTP1() {
		up, reused, err = c.acquireShared(e, id, need, within, down)
	} else {
		up, reused, err = c.acquireOwn(e, id, need, fresh, within, down)
	}
	if err == nil && !c.beginRequest() {
		c.giveBack(e, up, true, need.Now)
		err = errRequests
	}
	if err != nil {
		e.active.Add(-1)
		return nil, false, err
	}
	e.requests.Add(1)
	return up, reused, nil
}

// acquireOwn acquires a connection of HTTP/1.1.
func (c *Cluster) acquireOwn(e *Endpoint, id *identity, need *Need, fresh bool, within time.Duration, down proxy.Downstream) (up proxy.Upstream, reused bool, err error) {
	if id.shares() {
		// The endpoint does not agree to HTTP/2.
		own := *id
		own.http1 = true
		id = &own
	}
	if !fresh && e.waiting.Load() == 0 {
		if conn := c.takeIdle(e, id, need.Now); conn != nil {
			return conn, true, nil
		}
	}
	defer need.pass()
	p, err := c.wait(id, within, down)
	if err != nil {
		return nil, false, err
	}
	defer c.endWait(down)
	return c.obtain(e, fresh, p)
}

// Report is what became of an exchange.
type Report struct {
	// Reusable tells that the connection can take another request.
	Reusable bool
	// Status is that of the upstream's response, or what its grpc-status stands for in
	// HTTP; 0 where none came.
	Status int
	// Failure is why it did not come, or not whole.
	Failure proxy.Failure
	// Now is the time, of the clock of proxy.Now, or 0 where it is not known.
	Now int64
}

// Release takes back a connection after an exchange: to keep it where that may be, or to
// close it. A tunnel's connection comes back when the tunnel has ended.
func (c *Cluster) Release(e *Endpoint, up proxy.Upstream, r Report) {
	e.active.Add(-1)
	c.endRequest()
	if r.Failure != proxy.FailNone && r.Failure != proxy.FailDownstream {
		e.failed.Add(1)
		switch r.Failure {
		case proxy.FailClosed, proxy.FailReset, proxy.FailProtocol, proxy.FailStreamReset, proxy.FailRefusedStream:
			c.Count(RqRxReset)
		}
	}
	c.observe(e, r.Status, r.Failure)
	c.giveBack(e, up, r.Reusable, r.Now)
}

// giveBack takes back what Acquire has returned.
func (c *Cluster) giveBack(e *Endpoint, up proxy.Upstream, reusable bool, now int64) {
	switch conn := up.(type) {
	case *http2.ConnStream:
		c.giveBackStream(e, conn)
	case *http1.Conn:
		if reusable && !conn.Aborted() {
			c.keep(e, conn, now)
		} else {
			c.state.discard(e, conn)
		}
	}
}

// keep keeps a connection for the next exchange, or for one that waits, as far as the
// policy allows. now may be 0, where nobody has looked at the clock.
func (c *Cluster) keep(e *Endpoint, conn *http1.Conn, now int64) {
	if now == 0 {
		now = proxy.Now()
	}
	limit := int64(c.Spec.Pool.MaxRequestsPerConnection)
	switch {
	case c.state.current.Load().terms.outdated(conn):
	case limit > 0 && conn.Requests >= limit:
		c.Count(CxMaxRequests)
	case now-conn.Opened >= c.times.age:
		c.Count(CxMaxDuration)
	default:
		conn.IdleSince = now
		kept, eldest := e.push(conn)
		if kept {
			c.state.freed(e, 1)
			conn = eldest
		}
	}
	if conn != nil {
		c.state.discard(e, conn)
	}
}

// takeIdle returns an idle connection that is good now for another exchange, or nil. Those that
// are not good are closed.
func (c *Cluster) takeIdle(e *Endpoint, id *identity, now int64) *http1.Conn {
	closed := 0
	conn := e.pop(id)
	if conn != nil && !conn.Suspect() && now-lastSeen(conn) > quietFor {
		e.look(conn, now)
	}
	for conn != nil && !c.good(conn, now, quietFor) {
		c.state.drop(e, conn)
		closed++
		conn = e.pop(id)
	}
	if closed > 0 {
		c.state.freed(e, closed)
	}
	return conn
}

// good tells whether an idle connection may be used again. One that has been idle for
// longer than trust is looked at.
func (c *Cluster) good(conn *http1.Conn, now, trust int64) bool {
	idle := now - conn.IdleSince
	switch {
	case c.terms.outdated(conn):
		return false
	case idle > c.times.idle:
		c.Count(CxIdleTimeout)
		return false
	case now-conn.Opened >= c.times.age:
		c.Count(CxMaxDuration)
		return false
	}
	return now-lastSeen(conn) <= trust && !conn.Suspect() || conn.Quiet()
}

// lastSeen returns when an idle connection was last known to be good.
func lastSeen(conn *http1.Conn) int64 { return max(conn.IdleSince, conn.LookedAt) }

// wait begins the wait for a connection, or for a stream of one. The request is a pending one
// until endWait.
func (c *Cluster) wait(id *identity, within time.Duration, down proxy.Downstream) (*patience, error) {
	if !c.beginPending() {
		return nil, errPending
	}
	p := &patience{aborter: proxy.NewWaiter(), id: id.keep()}
	if within > 0 {
		p.until = proxy.Now() + int64(within)
	}
	if down != nil && !down.Attach(p.aborter) {
		c.endWait(down)
		return nil, errGone
	}
	return p, nil
}

func (c *Cluster) endWait(down proxy.Downstream) {
	if down != nil {
		down.Attach(nil)
	}
	c.endPending()
}

// obtain returns a connection of HTTP/1.1 when there is room for a new one, or one is
// released.
func (c *Cluster) obtain(e *Endpoint, fresh bool, p *patience) (up proxy.Upstream, reused bool, err error) {
	if c.Spec.Pool.MaxConnections > 0 {
		conn, err := c.queue(e, fresh, p)
		if err != nil {
			return nil, false, err
		}
		if conn != nil {
			return conn, true, nil
		}
	} else {
		c.state.reserve(e)
	}
	conn, err := c.dial(e, p)
	if err != nil {
		return nil, false, err
	}
	return conn, false, nil
}

// patience is how long somebody waits: until a moment of proxy.Now, where that is not 0, and
// while its client is there.
type patience struct {
	aborter *proxy.Aborter
	// id is that of the connection that is waited for.
	id    *identity
	until int64
}

// left returns how much of it is left, at most limit.
func (p *patience) left(limit time.Duration) time.Duration {
	if p.until == 0 {
		return limit
	}
	return min(limit, max(time.Duration(p.until-proxy.Now()), 1))
}

// A patience is a context.Context for as long as its client is there.
func (p *patience) Deadline() (time.Time, bool) { return time.Time{}, false }
func (p *patience) Done() <-chan struct{}       { return p.aborter.Woken() }
func (p *patience) Value(any) any               { return nil }

func (p *patience) Err() error {
	if p.aborter.Aborted() {
		return context.Canceled
	}
	return nil
}

// dialed is what a dial comes to.
type dialed struct {
	conn *http1.Conn
	err  error
}

// dial makes a connection, for which room is reserved. Where it takes longer than somebody waits,
// it goes on without them, one for each endpoint: else an endpoint that is slow to connect, such
// as one that is busy with handshakes, would never be connected to by those who wait too shortly.
func (c *Cluster) dial(e *Endpoint, p *patience) (*http1.Conn, error) {
	own := patience{aborter: proxy.NewWaiter(), id: p.id}
	result := make(chan dialed, 1)
	go func() {
		conn, _, err := c.connect(&own, e)
		if err != nil {
			result <- dialed{err: err}
			return
		}
		c.Count(CxTotal)
		e.dialed.Add(1)
		made := http1.NewConn(conn, c.manager.options.Limits)
		made.Opened, made.For = proxy.Now(), own.id
		result <- dialed{conn: made}
	}()
	var expired <-chan time.Time
	if p.until != 0 {
		timer := time.NewTimer(p.left(math.MaxInt64))
		defer timer.Stop()
		expired = timer.C
	}
	var left error
	select {
	case r := <-result:
		if r.err != nil {
			return nil, c.missed(e, p, r.err)
		}
		return r.conn, nil
	case <-p.Done():
		left = errGone
	case <-expired:
		left = os.ErrDeadlineExceeded
	}
	if e.orphaned.CompareAndSwap(false, true) {
		go func() {
			c.adopt(e, <-result)
			e.orphaned.Store(false)
		}()
	} else {
		own.aborter.Abort()
		c.adopt(e, <-result)
	}
	return nil, c.failed(e, p, left)
}

// adopt keeps a connection for the next exchange that nobody waits for any more, or gives its
// room back.
func (c *Cluster) adopt(e *Endpoint, r dialed) {
	if r.conn != nil {
		c.keep(e, r.conn, 0)
		return
	}
	c.state.unreserve(e)
	c.state.freed(e, 1)
}

// missed gives back the room for a connection to e that did not come about, and returns the
// error to tell.
func (c *Cluster) missed(e *Endpoint, p *patience, err error) error {
	c.state.unreserve(e)
	c.state.freed(e, 1)
	return c.failed(e, p, err)
}

// failed returns the error to tell of a connection to e that did not come about. Outlier
// detection hears of it.
func (c *Cluster) failed(e *Endpoint, p *patience, err error) error {
	if p.aborter.Aborted() {
		return errGone
	}
	c.Count(CxConnectFail)
	e.noDial.Add(1)
	e.requests.Add(1)
	failure := proxy.FailConnect
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		c.Count(CxConnectTimeout)
		failure = proxy.FailTimeout
	}
	c.observe(e, 0, failure)
	return err
}

// dialTCP is how connections are made, but for tests.
func dialTCP(d *net.Dialer, ctx context.Context, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, address)
}
