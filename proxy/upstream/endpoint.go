package upstream

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// maxIdle bounds the idle connections that an endpoint keeps.
const maxIdle = 4096

// Endpoint is one address of a cluster, with its connections. It is safe for concurrent
// use.
type Endpoint struct {
	// Address is as router.Endpoint has it.
	Address string
	network string
	target  string
	// spec is what the newest specification says of the endpoint.
	spec atomic.Pointer[router.Endpoint]
	// proxied is what Proxied returns.
	proxied atomic.Bool
	// targets are the addresses to connect to, where Address is a name that stands for one
	// endpoint.
	targets atomic.Pointer[[]string]

	mu      sync.Mutex
	idle    []*http1.Conn
	retired bool
	// shared are its connections of HTTP/2.
	shared multiplex

	// orphaned: a dial goes on that nobody waits for any more.
	orphaned atomic.Bool

	// open counts the connections that there are or that are being made, waiting the
	// requests in the cluster's queue that want one of this endpoint.
	open    atomic.Int64
	waiting atomic.Int64
	// active counts the requests that want or have a connection.
	active   atomic.Int64
	requests atomic.Uint64
	dialed   atomic.Uint64
	noDial   atomic.Uint64
	failed   atomic.Uint64

	health health
}

func newEndpoint(address string) *Endpoint {
	e := &Endpoint{Address: address, network: "tcp", target: address}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		e.network, e.target = "unix", path
	}
	return e
}

// Spec returns the router.Endpoint that this is by the newest specification, or the one whose
// name stands for its address; nil where a request has named it itself
// (router.ResolutionOriginal).
func (e *Endpoint) Spec() *router.Endpoint { return e.spec.Load() }

// Proxied tells whether a proxy of the mesh stands before the endpoint, as its labels say.
func (e *Endpoint) Proxied() bool { return e.proxied.Load() }

// describe takes what a specification says of the endpoint.
func (e *Endpoint) describe(spec *router.Endpoint) {
	e.spec.Store(spec)
	e.proxied.Store(spec.Labels["security.istio.io/tlsMode"] == "istio" || spec.Labels["sidecar.istio.io/inject"] == "true")
}

// pop takes, of the idle connections that were made for id, or any where that is nil, the
// one that was used last; nil where there is none.
func (e *Endpoint) pop(id *identity) *http1.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := len(e.idle) - 1
	for at >= 0 && id != nil && !serves(e.idle[at], id) {
		at--
	}
	if at < 0 {
		return nil
	}
	conn := e.idle[at]
	e.idle = slices.Delete(e.idle, at, at+1)
	return conn
}

// look looks at a connection that was taken, and at those that will be taken next, since a
// look at many costs no more than at one.
func (e *Endpoint) look(conn *http1.Conn, now int64) {
	var conns [http1.MaxLook]*http1.Conn
	conns[0] = conn
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 1 + copy(conns[1:], e.idle[max(0, len(e.idle)-len(conns)+1):])
	http1.Look(conns[:n], now)
}

// push keeps an idle connection, unless the endpoint is retired. Where it keeps as many as it may,
// the one that has been idle for longest is taken out, and is the caller's to close.
func (e *Endpoint) push(conn *http1.Conn) (kept bool, eldest *http1.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.retired {
		return false, nil
	}
	if len(e.idle) >= maxIdle {
		eldest = e.idle[0]
		e.idle = slices.Delete(e.idle, 0, 1)
	}
	e.idle = append(e.idle, conn)
	return true, eldest
}

// retire takes all idle connections out, and lets no more in.
func (e *Endpoint) retire() []*http1.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	idle := e.idle
	e.idle, e.retired = nil, true
	return idle
}

// sift takes those idle connections out that are not good any more.
func (e *Endpoint) sift(good func(*http1.Conn) bool) (bad []*http1.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.idle[:0]
	for _, conn := range e.idle {
		if good(conn) {
			kept = append(kept, conn)
		} else {
			bad = append(bad, conn)
		}
	}
	clear(e.idle[len(kept):])
	e.idle = kept
	return bad
}

func (e *Endpoint) status(weight uint32) EndpointStatus {
	e.mu.Lock()
	idle := len(e.idle)
	e.mu.Unlock()
	idle += e.shared.idle()
	return EndpointStatus{
		Address: e.Address, Healthy: !e.Ejected(), Weight: weight,
		Active: e.active.Load(), Open: e.open.Load(), Idle: idle, Pending: e.waiting.Load() + e.shared.waiting.Load(),
		Requests: e.requests.Load(), Failures: e.failed.Load(),
		Connects: e.dialed.Load(), ConnectFailures: e.noDial.Load(),
		Ejections: e.health.ejections.Load(),
	}
}
