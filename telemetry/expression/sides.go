package expression

import (
	"math/bits"
	"net/netip"

	"github.com/sluicegate/sluice/proxy"
)

// source returns the caller's address: of an exchange the one that is believed, with port 0
// where trusted proxies told it.
func (m *machine) source() netip.AddrPort {
	switch {
	case m.ex != nil && m.ex.Client.IsValid() && m.ex.Client.Unmap() != m.ex.Remote.Addr().Unmap():
		return netip.AddrPortFrom(m.ex.Client, 0)
	case m.ex != nil:
		return m.ex.Remote
	case m.connection == nil:
		return netip.AddrPort{}
	}
	return m.connection.Remote
}

// destination returns our side of the caller's connection.
func (m *machine) destination() netip.AddrPort {
	switch {
	case m.ex != nil:
		return m.ex.Local
	case m.connection == nil:
		return netip.AddrPort{}
	}
	return m.connection.Local
}

func (m *machine) serverName() string {
	switch {
	case m.ex != nil && m.ex.ServerName != "":
		return m.ex.ServerName
	case m.connection == nil || m.connection.TLS == nil:
		return ""
	}
	return m.connection.TLS.ServerName
}

func (m *machine) termination() string {
	if m.ex != nil {
		return m.ex.Termination
	}
	return m.st.Termination
}

func (m *machine) upstream() string {
	if m.ex != nil {
		return m.ex.UpstreamHost
	}
	return m.st.UpstreamHost
}

func (m *machine) routeName() string {
	switch {
	case m.ex == nil:
		return m.st.Route
	case m.ex.Decision.Route == nil:
		return ""
	}
	return m.ex.Decision.Route.Name
}

func (m *machine) clusterName() string {
	switch {
	case m.ex == nil:
		return m.st.Cluster
	case m.ex.Destination == nil:
		return ""
	}
	return m.ex.Destination.Cluster.Name
}

func (m *machine) flags() proxy.Flags {
	if m.ex != nil {
		return m.ex.Flags
	}
	return m.st.Flags
}

// envoyBits are the bits that Envoy has for the flags (StreamInfo::CoreResponseFlag).
var envoyBits = map[proxy.Flags]uint{
	proxy.FlagNoHealthyUpstream: 1, proxy.FlagUpstreamTimeout: 2, proxy.FlagUpstreamReset: 4,
	proxy.FlagUpstreamConnectFailure: 5, proxy.FlagUpstreamTermination: 6, proxy.FlagUpstreamOverflow: 7,
	proxy.FlagNoRoute: 8, proxy.FlagDelayInjected: 9, proxy.FlagFaultInjected: 10,
	proxy.FlagRateLimited:           11,
	proxy.FlagDownstreamTermination: 14, proxy.FlagRetryExceeded: 15, proxy.FlagStreamIdleTimeout: 16,
	proxy.FlagDownstreamProtocolError: 18, proxy.FlagDurationTimeout: 22, proxy.FlagUpstreamProtocolError: 23,
	proxy.FlagNoCluster: 24, proxy.FlagOverload: 25,
}

// envoyFlags returns flags as the bits that Envoy has for them; bit 40 stands for those that it
// has not.
func envoyFlags(f proxy.Flags) (n int64) {
	for f != 0 {
		flag := proxy.Flags(1) << bits.TrailingZeros32(uint32(f))
		if bit, ok := envoyBits[flag]; ok {
			n |= 1 << bit
		} else {
			n |= 1 << 40
		}
		f &^= flag
	}
	return n
}
