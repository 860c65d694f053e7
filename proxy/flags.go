package proxy

import "math/bits"

// Flags say why a response is what it is, in Envoy's vocabulary
// (%RESPONSE_FLAGS% in access logs, response_flags in metrics).
type Flags uint32

const (
	// FlagNoRoute: no route matched (NR).
	FlagNoRoute Flags = 1 << iota
	// FlagNoCluster: the route names a cluster that does not exist (NC).
	FlagNoCluster
	// FlagNoHealthyUpstream: the cluster has no endpoint to use (UH).
	FlagNoHealthyUpstream
	// FlagUpstreamConnectFailure: no connection to the endpoint (UF).
	FlagUpstreamConnectFailure
	// FlagUpstreamTermination: the upstream closed the connection (UC).
	FlagUpstreamTermination
	// FlagUpstreamReset: the upstream reset the stream (UR).
	FlagUpstreamReset
	// FlagUpstreamTimeout: the route's timeout ran out (UT).
	FlagUpstreamTimeout
	// FlagUpstreamOverflow: a circuit breaker is open (UO).
	FlagUpstreamOverflow
	// FlagRetryExceeded: the retries are used up (URX).
	FlagRetryExceeded
	// FlagUpstreamProtocolError: the upstream's message is not valid (UPE).
	FlagUpstreamProtocolError
	// FlagDownstreamTermination: the client went away (DC).
	FlagDownstreamTermination
	// FlagDownstreamProtocolError: the client's message is not valid (DPE).
	FlagDownstreamProtocolError
	// FlagStreamIdleTimeout: nothing moved for too long (SI).
	FlagStreamIdleTimeout
	// FlagDurationTimeout: the connection or stream lasted too long (DT).
	FlagDurationTimeout
	// FlagDelayInjected and FlagFaultInjected: a fault policy acted (DI, FI).
	FlagDelayInjected
	FlagFaultInjected
	// FlagOverload: the proxy sheds load (OM).
	FlagOverload
	// FlagRateLimited: the client has asked for too much (RL).
	FlagRateLimited
)

// flagNames are in the order of the constants.
var flagNames = [...]string{"NR", "NC", "UH", "UF", "UC", "UR", "UT", "UO", "URX", "UPE", "DC", "DPE", "SI", "DT", "DI", "FI", "OM", "RL"}

// Append appends the flags' names, joined by commas, or "-" where there are none.
func (f Flags) Append(dst []byte) []byte {
	if f == 0 {
		return append(dst, '-')
	}
	for n := 0; f != 0; n++ {
		i := bits.TrailingZeros32(uint32(f))
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, flagNames[i]...)
		f &^= 1 << i
	}
	return dst
}

// String returns what Append appends.
func (f Flags) String() string { return string(f.Append(nil)) }
