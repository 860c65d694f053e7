package sidecar

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
)

// Inbound is a listener for calls to the workload, and where they go.
type Inbound struct {
	// Listen is "10.0.0.7:9080", Local the application's own address,
	// "127.0.0.1:9080". Both may be "unix:///path".
	Listen, Local string
}

// ParseInbound reads "LISTEN=LOCAL".
func ParseInbound(s string) (Inbound, error) {
	listen, local, ok := strings.Cut(s, "=")
	if !ok {
		return Inbound{}, fmt.Errorf("inbound %q must be written LISTEN=LOCAL, such as 0.0.0.0:9080=127.0.0.1:19080", s)
	}
	for _, address := range []string{listen, local} {
		if err := checkAddress(address); err != nil {
			return Inbound{}, fmt.Errorf("inbound %q: %w", s, err)
		}
	}
	if callsItself(listen, local) {
		return Inbound{}, fmt.Errorf("inbound %q would call itself", s)
	}
	return Inbound{Listen: listen, Local: local}, nil
}

// callsItself tells whether a connection to local comes in at listen. Which addresses other than
// those of loopback are the machine's own is not known here.
func callsItself(listen, application string) bool {
	if listen == application {
		return true
	}
	from, err := netip.ParseAddrPort(local(listen))
	to, err2 := netip.ParseAddrPort(local(application))
	if err != nil || err2 != nil || from.Port() != to.Port() || from.Port() == 0 {
		return false
	}
	at, target := from.Addr().Unmap(), to.Addr().Unmap()
	if !at.IsUnspecified() {
		return at == target
	}
	// One socket for any IPv6 address takes what comes by IPv4 too.
	return (target.IsLoopback() || target.IsUnspecified()) && (at.Is6() || target.Is4())
}

// checkAddress accepts "ip:port", "localhost:port" and "unix:///path".
func checkAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		if strings.HasPrefix(path, "/") {
			return nil
		}
		return fmt.Errorf("%q must be an absolute path, unix:///PATH", address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is neither IP:PORT nor unix:///PATH", address)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return fmt.Errorf("%q is not an IP address", host)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

// reachable reports whether other machines can connect to an address.
func reachable(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" || strings.HasPrefix(address, "unix://") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// name is the listener's.
func (in Inbound) name() string { return "inbound_" + in.Listen }

// port is the one that callers address; 0 on a unix socket.
func (in Inbound) port() uint16 {
	_, text, _ := net.SplitHostPort(in.Listen)
	port, _ := strconv.ParseUint(text, 10, 16)
	return uint16(port)
}

// cluster is the name of the application's cluster, as Istio names it: of a subset, where there
// is one.
func (in Inbound) cluster(subset string) string {
	if port := in.port(); port != 0 {
		return "inbound|" + strconv.Itoa(int(port)) + "|" + subset + "|"
	}
	return "inbound|" + in.Listen + "|" + subset + "|"
}

// inboundSpec returns the listeners for what calls the workload: each forwards
// everything to one address, without a time limit, as Istio's inbound routes do.
func inboundSpec(list []Inbound) *router.Spec {
	spec := &router.Spec{}
	for _, in := range list {
		cluster, calls := in.cluster(""), in.cluster(grpc)
		if slices.ContainsFunc(spec.Clusters, func(c *router.Cluster) bool { return c.Name == cluster }) {
			cluster, calls = cluster+in.Listen, calls+in.Listen // the same port of another address
		}
		address := local(in.Local)
		spec.Clusters = append(spec.Clusters,
			&router.Cluster{Name: cluster, Port: in.port(), Endpoints: []*router.Endpoint{{Address: address}}},
			&router.Cluster{Name: calls, Port: in.port(), Endpoints: []*router.Endpoint{{Address: address}}, Protocol: router.ProtocolHTTP2})
		spec.Listeners = append(spec.Listeners, &router.Listener{
			Name: in.name(), Port: in.port(),
			Tables: []*router.RouteTable{{Name: cluster, VirtualHosts: []*router.VirtualHost{{
				Name: cluster, Domains: []string{"*"}, Routes: []*router.Route{route(calls, isGRPC), route(cluster, router.Match{})},
			}}}},
		})
	}
	return spec
}

// grpc is the subset of the cluster for calls of gRPC: these are HTTP/2, whatever else the
// application speaks.
const grpc = "grpc"

// isGRPC matches the calls of gRPC, and those of gRPC-Web, which are translated.
var isGRPC = router.Match{Rest: &router.Conditions{Headers: []router.HeaderMatch{
	{Name: "content-type", Match: router.StringMatch{Kind: router.MatchPrefix, Value: "application/grpc"}},
}}}

// route returns one to a cluster, for what matches.
func route(cluster string, match router.Match) *router.Route {
	return &router.Route{Match: match, RouteAction: &router.RouteAction{Name: "default", Destinations: []router.Destination{{Cluster: cluster}}}}
}

// local spells localhost out: a cluster's endpoints are addresses.
func local(address string) string {
	if port, ok := strings.CutPrefix(address, "localhost:"); ok {
		return "127.0.0.1:" + port
	}
	return address
}

// withInbound adds the sidecar's own listeners and clusters to what is compiled.
func withInbound(fresh func() pipeline.Compile, own *router.Spec) func() pipeline.Compile {
	if len(own.Listeners) == 0 {
		return fresh
	}
	return func() pipeline.Compile {
		compile := fresh()
		var last, joined *router.Spec
		return func(d config.Delta) (*router.Spec, []config.Condition) {
			spec, conditions := compile(d)
			if joined == nil || spec != last {
				last = spec
				joined = &router.Spec{
					Listeners: slices.Concat(spec.Listeners, own.Listeners),
					Clusters:  slices.Concat(spec.Clusters, own.Clusters),
					Secrets:   spec.Secrets,
					Telemetry: spec.Telemetry,
				}
			}
			return joined, conditions
		}
	}
}
