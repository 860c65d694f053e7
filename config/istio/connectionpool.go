package istio

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// never is an idle timeout that is turned off: longer than any proxy runs, and short
// enough to be added to a time.
const never = 100 * 365 * 24 * time.Hour

// compilePool returns the bounds of a cluster's connections and requests. 0 counts as
// not said, as in Istio.
func compilePool(in *networking.ConnectionPoolSettings) router.Pool {
	tcp, http := in.GetTcp(), in.GetHttp()
	alive := tcp.GetTcpKeepalive()
	return router.Pool{
		MaxConnections:           int(tcp.GetMaxConnections()),
		KeepaliveProbes:          int(alive.GetProbes()),
		KeepaliveTime:            alive.GetTime().AsDuration(),
		KeepaliveIv:              alive.GetInterval().AsDuration(),
		MaxConnectionAge:         tcp.GetMaxConnectionDuration().AsDuration(),
		IdleTimeout:              idleTimeout(http.GetIdleTimeout(), tcp.GetIdleTimeout()),
		TCPIdleTimeout:           idleTimeout(tcp.GetIdleTimeout()),
		MaxPending:               int(http.GetHttp1MaxPendingRequests()),
		MaxRequests:              int(http.GetHttp2MaxRequests()),
		MaxRequestsPerConnection: int(http.GetMaxRequestsPerConnection()),
		MaxRetries:               int(http.GetMaxRetries()),
	}
}

// idleTimeout is the first that is said; one that is said to be 0 is none.
func idleTimeout(said ...*durationpb.Duration) time.Duration {
	for _, d := range said {
		switch {
		case d == nil:
		case d.AsDuration() <= 0:
			return never
		default:
			return d.AsDuration()
		}
	}
	return 0
}

// compileProtocol returns what is spoken to endpoints whose port speaks a protocol. Whoever
// asks for an upgrade means a port with HTTP, whatever its name says (Istio); with TLS, other
// than that of the mesh, the endpoint has a say in it.
func compileProtocol(port router.Protocol, in *networking.ConnectionPoolSettings_HTTPSettings, tls networking.ClientTLSSettings_TLSmode) router.Protocol {
	upgrade := in.GetH2UpgradePolicy() == networking.ConnectionPoolSettings_HTTPSettings_UPGRADE
	encrypted := tls == networking.ClientTLSSettings_SIMPLE || tls == networking.ClientTLSSettings_MUTUAL
	switch {
	case in.GetUseClientProtocol():
		return router.ProtocolDownstream
	case port == router.ProtocolHTTP2 || !upgrade:
		return port
	case encrypted:
		return router.ProtocolAuto
	}
	return router.ProtocolHTTP2
}

// compileHTTP2 returns the bounds of a cluster's HTTP/2 connections.
func compileHTTP2(in *networking.ConnectionPoolSettings_HTTPSettings) router.HTTP2 {
	alive := in.GetHttp2KeepAlive()
	return router.HTTP2{
		MaxConcurrentStreams: uint32(in.GetMaxConcurrentStreams()),
		KeepaliveInterval:    alive.GetInterval().AsDuration(),
		KeepaliveTimeout:     alive.GetTimeout().AsDuration(),
	}
}

// compileProxyProtocol returns the version of the PROXY protocol, 0 for none.
func compileProxyProtocol(in *networking.TrafficPolicy_ProxyProtocol) uint8 {
	switch {
	case in == nil:
		return 0
	case in.Version == networking.TrafficPolicy_ProxyProtocol_V2:
		return 2
	}
	return 1
}

// compileBudget returns the bound of retries by share, nil where there is none.
func compileBudget(in *networking.TrafficPolicy_RetryBudget) *router.RetryBudget {
	if in == nil {
		return nil
	}
	out := &router.RetryBudget{Percent: 20, MinConcurrency: 3, Interval: in.BudgetInterval.AsDuration()}
	if in.Percent != nil {
		out.Percent = in.Percent.Value
	}
	if in.MinRetryConcurrency > 0 {
		out.MinConcurrency = int(in.MinRetryConcurrency)
	}
	return out
}
