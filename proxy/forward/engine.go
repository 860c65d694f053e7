package forward

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/router"
)

// Options configure an Engine. The zero value is that of an edge gateway that trusts
// nobody.
type Options struct {
	// Mesh is for a sidecar: its callers are its own workload, whose headers are left as
	// they are.
	Mesh bool
	// TrustedHops is the number of proxies in front of this one whose forwarding headers
	// are believed (Istio's numTrustedProxies).
	TrustedHops int
	// OnComplete is called once for each exchange, when it is over, on the request path:
	// it must be quick, allocate nothing and keep nothing of what it is given.
	OnComplete func(*proxy.Exchange)
	// Trace, where not nil, is called once for each request that is served, before routing: it
	// fills in Exchange.Trace, by which the tries to reach an upstream are traced, and must be as
	// quick as OnComplete.
	Trace func(*proxy.Exchange)
	// PeerMetadata and PeerMetadataID are whom the proxy speaks for, as the values of Istio's
	// x-envoy-peer-metadata and x-envoy-peer-metadata-id. Endpoints behind a proxy of the mesh
	// are told them, and a sidecar's callers that tell theirs; empty ones are not sent.
	PeerMetadata, PeerMetadataID string
	// Pressure, where not nil, says how short of memory the process is. It is asked for
	// each request: at proxy.PressureExtreme, requests are answered 503 with flag OM.
	Pressure func() proxy.Pressure
	// ClientPolicy identifies what is asked of the certificates of clients: see
	// proxy.TLSState.Policy. It is required where requests come inside TLS.
	ClientPolicy func(*router.ServerTLS) string
	// Challenge, where not nil, returns the answer to a certificate authority's request over
	// plaintext HTTP, which comes before all routes. ok is false where there is none.
	Challenge func(host, path string) (answer []byte, ok bool)
	// Random is the source for weighted choices and request ids; nil for the runtime's.
	// It must be safe for concurrent use.
	Random func() uint64
	// Limits bound what an upstream may send.
	Limits http1.Limits
	// UpstreamTLS is upstream.Options.TLS: nil speaks plaintext only. Resolve, MinRefresh and
	// Log are those of upstream.Options.
	UpstreamTLS func(t *router.ClientTLS, serverName string, protocols ...string) (*tls.Config, error)
	Resolve     func(ctx context.Context, host string) (dns.Answer, error)
	MinRefresh  time.Duration
	Log         *slog.Logger
	// Timeouts.Tunnel bounds upgraded connections.
	Timeouts http1.Timeouts
}

// Engine serves exchanges by the newest table. It is safe for concurrent use.
type Engine struct {
	options  Options
	manager  *upstream.Manager
	mirrors  *filter.Mirrors
	limiter  *filter.Limiter
	snapshot atomic.Pointer[snapshot]
	// captured is nil where telemetry wants nothing of responses.
	captured atomic.Pointer[captured]
	// peerHeaders tell other proxies whom this one speaks for.
	peerHeaders []router.Header
	publish     sync.Mutex
}

// snapshot is a table with its clusters at work, which one exchange uses from its
// beginning to its end.
type snapshot struct {
	table    *router.Table
	clusters []*upstream.Cluster
}

// New returns an Engine without a table, which answers 404 to everything.
func New(o Options) *Engine {
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	manager := upstream.NewManager(upstream.Options{Limits: o.Limits, TLS: o.UpstreamTLS, Resolve: o.Resolve, MinRefresh: o.MinRefresh, Log: o.Log})
	e := &Engine{options: o, manager: manager, limiter: filter.NewLimiter(proxy.Now), peerHeaders: o.peerHeaders()}
	e.mirrors = filter.NewMirrors(filter.MirrorOptions{PeerHeaders: e.peerHeaders})
	e.options.Timeouts = o.Timeouts.WithDefaults()
	table, _ := router.Build(&router.Spec{}, nil)
	e.snapshot.Store(&snapshot{table: table})
	return e
}

// Publish puts a table in force for all exchanges that begin from now on.
func (e *Engine) Publish(t *router.Table) {
	e.publish.Lock()
	defer e.publish.Unlock()
	previous := e.snapshot.Load()
	next := &snapshot{table: t, clusters: e.manager.Update(t.Clusters(), previous.clusters)}
	e.snapshot.Store(next)
	e.mirrors.Keep(next.clusters)
}

// Table returns the table in force.
func (e *Engine) Table() *router.Table { return e.snapshot.Load().table }

// Clusters returns a look at every cluster's endpoints.
func (e *Engine) Clusters() []upstream.ClusterStatus {
	var all []upstream.ClusterStatus
	for _, c := range e.snapshot.Load().clusters {
		if c != nil {
			all = append(all, c.Status())
		}
	}
	return all
}

// Mirrors returns a look at the copies sent to each mirror.
func (e *Engine) Mirrors() []filter.MirrorStatus { return e.mirrors.Status() }

// Close ends the connections to upstreams: idle ones now, others with their exchange, and
// mirrors' at once.
func (e *Engine) Close() {
	e.mirrors.Close()
	e.manager.Close()
}

var _ proxy.Handler = (*Engine)(nil)

// Serve implements proxy.Handler.
func (e *Engine) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	snap := e.snapshot.Load()
	e.identify(ex)
	e.setRequestID(ex)
	contentType := ""
	if ex.Request.Method == http.MethodPost {
		contentType, _ = ex.Request.Header("content-type")
		ex.GRPC = proxy.IsGRPC(contentType)
	}
	if e.options.Pressure != nil && e.options.Pressure() >= proxy.PressureExtreme {
		e.shed(ex, down)
		e.complete(ex)
		return
	}
	e.addForwarding(ex)
	if e.options.Trace != nil {
		e.options.Trace(ex)
	}
	if ex.Connection.TLS != nil && !e.direct(ex, snap.table) {
		e.misdirected(ex, down)
		e.complete(ex)
		return
	}
	if e.options.Challenge != nil && e.answerChallenge(ex, down) {
		e.complete(ex)
		return
	}
	ex.Decision = snap.table.Route(&ex.Request)
	if filter.IsGRPCWeb(contentType) {
		e.serveGRPCWeb(ex, down, snap)
	} else {
		e.act(ex, down, snap)
	}
	e.complete(ex)
}

// act does what the decision says.
func (e *Engine) act(ex *proxy.Exchange, down proxy.Downstream, snap *snapshot) {
	countPayload(ex)
	switch {
	case ex.Connection.TLS != nil && ex.Decision.Chain == nil:
		// The server that the handshake was with is not configured any more.
		e.misdirected(ex, down)
	case ex.Decision.Route != nil && !admits(ex):
		e.deny(ex, down)
	case ex.Decision.Route != nil && filter.Preflight(ex, ex.Decision.Route, &ex.Reply):
		e.respond(ex, down, nil)
	case ex.Decision.Route != nil && len(ex.Decision.Route.Limits) > 0:
		e.limited(ex, down, snap)
	case ex.Decision.Outcome == router.Forward:
		e.forward(ex, down, snap)
	default:
		e.answer(ex, down)
	}
}

// answer answers what needs no upstream.
func (e *Engine) answer(ex *proxy.Exchange, down proxy.Downstream) {
	switch ex.Decision.Outcome {
	case router.Responded:
		e.respondDirect(ex, down)
	case router.Redirected, router.TLSRedirect:
		e.redirect(ex, down)
	default:
		ex.Flags |= proxy.FlagNoRoute
		e.reply(ex, down, reply{status: 404, details: "route_not_found", body: "404: no route matches this request\n"})
	}
}

// Reject implements proxy.Handler.
func (e *Engine) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	ex.Flags |= proxy.FlagDownstreamProtocolError
	e.reply(ex, down, reply{status: r.Status, details: r.Detail, body: rejectionBody(r.Status), location: r.Location})
	e.complete(ex)
}

func (e *Engine) complete(ex *proxy.Exchange) {
	if ex.End == 0 {
		ex.End = proxy.Now()
	}
	if ex.ResponseFlushed == 0 && ex.Status != 0 && ex.Flags&proxy.FlagDownstreamTermination == 0 {
		// The head went with all the rest, just now.
		ex.ResponseFlushed = ex.End
	}
	if e.options.OnComplete != nil {
		e.options.OnComplete(ex)
	}
}
