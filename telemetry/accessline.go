package telemetry

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// appendAccessLine appends the exchange's line in Istio's default text format
// (MeshConfig.accessLogFormat):
//
//	[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%
//	%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED%
//	%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"
//	"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%
//	%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
//
// start is the wall clock at the request's first line.
func appendAccessLine(dst []byte, ex *proxy.Exchange, start time.Time) []byte {
	req := &ex.Request
	dst = append(dst, '[')
	dst = start.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `] "`...)
	dst = appendInner(dst, req.Method)
	dst = append(dst, ' ')
	dst = appendInner(dst, req.Path)
	dst = append(dst, ' ')
	dst = appendInner(dst, ex.Protocol)
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, int64(ex.Status), 10)
	dst = append(dst, ' ')
	dst = ex.Flags.Append(dst)
	dst = append(dst, ' ')
	dst = appendBare(dst, ex.Details)
	dst = appendBare(dst, ex.Termination)
	dst = appendQuoted(dst, ex.UpstreamFailure)
	dst = strconv.AppendInt(dst, ex.BytesReceived, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, ex.BytesSent, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, max(0, ex.End-ex.Start)/int64(time.Millisecond), 10)
	dst = append(dst, ' ')
	dst = appendServiceTime(dst, ex.ResponseServiceTime)
	dst = appendHeader(dst, ex, "x-forwarded-for")
	dst = appendHeader(dst, ex, "user-agent")
	dst = appendQuoted(dst, ex.RequestID)
	dst = appendQuoted(dst, req.Authority)
	dst = appendQuoted(dst, ex.UpstreamHost)
	dst = appendBare(dst, clusterName(ex))
	dst = appendBare(dst, ex.UpstreamLocal)
	dst = appendAddress(dst, ex.Local)
	dst = appendAddress(dst, client(ex))
	dst = appendBare(dst, ex.ServerName)
	dst = appendBare(dst, routeName(ex))
	dst[len(dst)-1] = '\n'
	return dst
}

// client is the caller's address: the connection's, or with port 0 the one that a
// trusted hop vouched for, as Envoy prints it.
func client(ex *proxy.Exchange) netip.AddrPort {
	if ex.Client.IsValid() && ex.Client.Unmap() != ex.Remote.Addr().Unmap() {
		return netip.AddrPortFrom(ex.Client, 0)
	}
	return ex.Remote
}

// appendInner appends a value that stands among others inside quotes.
func appendInner(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, '-')
	}
	return appendEscaped(dst, s, false)
}

func appendBare(dst []byte, s string) []byte {
	return append(appendInner(dst, s), ' ')
}

func appendQuoted(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, `"-" `...)
	}
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, true)
	return append(dst, `" `...)
}

// appendHeader appends all values of a request header, joined by commas.
func appendHeader(dst []byte, ex *proxy.Exchange, name string) []byte {
	dst = append(dst, '"')
	n := 0
	for i := range ex.Request.Headers {
		h := &ex.Request.Headers[i]
		if h.Name != name {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = appendEscaped(dst, h.Value, true)
	}
	if n == 0 {
		dst = append(dst, '-')
	}
	return append(dst, `" `...)
}

func appendAddress(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(dst, "- "...)
	}
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return append(a.AppendTo(dst), ' ')
}

func appendServiceTime(dst []byte, milliseconds int64) []byte {
	if milliseconds < 0 {
		return append(dst, "- "...)
	}
	return append(strconv.AppendInt(dst, milliseconds, 10), ' ')
}

// clusterName is the cluster that was picked, "outbound|9080||reviews.default.svc.cluster.local".
func clusterName(ex *proxy.Exchange) string {
	if ex.Destination == nil {
		return ""
	}
	return ex.Destination.Cluster.Name
}

func routeName(ex *proxy.Exchange) string {
	if ex.Decision.Route == nil {
		return ""
	}
	return ex.Decision.Route.Name
}
