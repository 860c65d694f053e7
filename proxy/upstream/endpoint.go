package upstream

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// maxIdle bounds the idle connections that an endpoint keeps.
const maxIdle = 4096

// quietFor is how long a connection may have been idle to be used again without a look at
// it. The look is a system call; within so short a time it would hardly ever find anything.
const quietFor = int64(2 * time.Millisecond)

// Endpoint is one address of a cluster, with its connections. It is safe for concurrent
// use.
type Endpoint struct {
	// Address is as router.Endpoint has it.
	Address string
	network string
	target  string
	limits  http1.Limits

	mu      sync.Mutex
	idle    []*http1.Conn
	retired bool

	open     atomic.Int64
	active   atomic.Int64
	requests atomic.Uint64
	dialed   atomic.Uint64
	noDial   atomic.Uint64
	failed   atomic.Uint64
}

func newEndpoint(address string, limits http1.Limits) *Endpoint {
	e := &Endpoint{Address: address, network: "tcp", target: address, limits: limits}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		e.network, e.target = "unix", path
	}
	return e
}

// acquire returns a connection for one exchange: an idle one, unless fresh is asked for,
// or a new one, within timeout. reused tells which. The caller gives it back with release.
func (e *Endpoint) acquire(fresh bool, timeout time.Duration) (c *http1.Conn, reused bool, err error) {
	e.active.Add(1)
	e.requests.Add(1)
	for !fresh {
		e.mu.Lock()
		n := len(e.idle)
		if n == 0 {
			e.mu.Unlock()
			break
		}
		c := e.idle[n-1]
		e.idle[n-1] = nil
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		if (c.Suspect() || proxy.Now()-c.IdleSince > quietFor) && !c.Quiet() {
			e.discard(c)
			continue
		}
		return c, true, nil
	}
	c, err = e.dial(timeout)
	if err != nil {
		e.active.Add(-1)
	}
	return c, false, err
}

func (e *Endpoint) dial(timeout time.Duration) (*http1.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	conn, err := d.Dial(e.network, e.target)
	if err != nil {
		e.noDial.Add(1)
		return nil, err
	}
	e.dialed.Add(1)
	e.open.Add(1)
	return http1.NewConn(conn, e.limits), nil
}

// release takes back a connection after an exchange: to keep it where that may be, or to
// close it. failed counts the exchange as the endpoint's failure.
func (e *Endpoint) release(c *http1.Conn, reusable, failed bool) {
	e.active.Add(-1)
	if failed {
		e.failed.Add(1)
	}
	if reusable {
		c.IdleSince = proxy.Now()
		e.mu.Lock()
		if !e.retired && len(e.idle) < maxIdle {
			e.idle = append(e.idle, c)
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
	}
	e.discard(c)
}

func (e *Endpoint) discard(c *http1.Conn) {
	c.Close()
	e.open.Add(-1)
}

// retire closes the idle connections; those in use close when they are released.
func (e *Endpoint) retire() {
	e.mu.Lock()
	idle := e.idle
	e.idle, e.retired = nil, true
	e.mu.Unlock()
	for _, c := range idle {
		e.discard(c)
	}
}

// sweep closes connections that have been idle for too long, or whose peer has closed or
// spoken out of turn.
func (e *Endpoint) sweep(now int64, idleTimeout time.Duration) {
	var gone []*http1.Conn
	e.mu.Lock()
	kept := e.idle[:0]
	for _, c := range e.idle {
		idle := now - c.IdleSince
		if idle > int64(idleTimeout) || idle > int64(sweepEvery)/2 && !c.Quiet() {
			gone = append(gone, c)
			continue
		}
		kept = append(kept, c)
	}
	clear(e.idle[len(kept):])
	e.idle = kept
	e.mu.Unlock()
	for _, c := range gone {
		e.discard(c)
	}
}

// EndpointStatus is a look at an endpoint's state.
type EndpointStatus struct {
	Address string `json:"address"`
	Healthy bool   `json:"healthy"`
	Weight  uint32 `json:"weight"`
	// Active counts exchanges in progress, Open connections, Idle those of them that
	// wait for one.
	Active int64 `json:"active"`
	Open   int64 `json:"open"`
	Idle   int   `json:"idle"`
	// Requests counts exchanges, Failures those that got no whole response; Connects and
	// ConnectFailures count dials.
	Requests        uint64 `json:"requests"`
	Failures        uint64 `json:"failures"`
	Connects        uint64 `json:"connects"`
	ConnectFailures uint64 `json:"connectFailures"`
}

func (e *Endpoint) status(weight uint32) EndpointStatus {
	e.mu.Lock()
	idle := len(e.idle)
	e.mu.Unlock()
	return EndpointStatus{
		Address: e.Address, Healthy: true, Weight: weight,
		Active: e.active.Load(), Open: e.open.Load(), Idle: idle,
		Requests: e.requests.Load(), Failures: e.failed.Load(),
		Connects: e.dialed.Load(), ConnectFailures: e.noDial.Load(),
	}
}
