package forward

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// evaluate puts a header value together. Its memory lives as long as the exchange. made is false
// where it is of operators that have no value.
func evaluate(ex *proxy.Exchange, t *router.Template) (value string, made bool) {
	if value, ok := t.Literal(); ok {
		return value, true
	}
	at := len(ex.Scratch)
	for i := range t.Segments {
		s := &t.Segments[i]
		if s.Command == "" {
			ex.Scratch = append(ex.Scratch, s.Literal...)
			continue
		}
		from := len(ex.Scratch)
		ex.Scratch = appendOperator(ex.Scratch, ex, s)
		makeValue(ex.Scratch[from:])
		if s.MaxLength > 0 && len(ex.Scratch)-from > s.MaxLength {
			ex.Scratch = ex.Scratch[:from+s.MaxLength]
		}
	}
	value = ex.KeptFrom(at)
	return value, value != ""
}

// makeValue puts "?" for bytes that no header may have (RFC 9110 section 5.5): names that the
// configuration gives to its parts may be anything.
func makeValue(b []byte) {
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = '?'
		}
	}
}

// appendOperator appends the value of one of Envoy's command operators, as far as it is known
// when the header is made, and nothing for what is not.
func appendOperator(dst []byte, ex *proxy.Exchange, s *router.Segment) []byte {
	switch s.Command {
	case "REQ":
		return appendRequestHeader(dst, ex, s.Argument)
	case "PROTOCOL":
		return append(dst, ex.Protocol...)
	case "DOWNSTREAM_REMOTE_ADDRESS":
		return appendAddr(dst, netip.AddrPortFrom(ex.Client, ex.Remote.Port()))
	case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
		return appendIP(dst, ex.Client)
	case "DOWNSTREAM_REMOTE_PORT":
		return strconv.AppendUint(dst, uint64(ex.Remote.Port()), 10)
	case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
		return appendAddr(dst, ex.Remote)
	case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
		return appendIP(dst, ex.Remote.Addr())
	case "DOWNSTREAM_LOCAL_ADDRESS":
		return appendAddr(dst, ex.Local)
	case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
		return appendIP(dst, ex.Local.Addr())
	case "DOWNSTREAM_LOCAL_PORT":
		return strconv.AppendUint(dst, uint64(ex.Local.Port()), 10)
	case "UPSTREAM_HOST", "UPSTREAM_REMOTE_ADDRESS":
		return append(dst, ex.UpstreamHost...)
	case "UPSTREAM_LOCAL_ADDRESS":
		return append(dst, ex.UpstreamLocal...)
	case "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW":
		if ex.Destination != nil {
			return append(dst, ex.Destination.Cluster.Name...)
		}
	case "ROUTE_NAME":
		if ex.Decision.Route != nil {
			return append(dst, ex.Decision.Route.Name...)
		}
	case "REQUESTED_SERVER_NAME":
		return append(dst, ex.ServerName...)
	case "START_TIME":
		return proxy.Wall(ex.Start).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	case "RESPONSE_FLAGS":
		return ex.Flags.Append(dst)
	case "STREAM_ID", "REQUEST_ID":
		return append(dst, ex.RequestID...)
	case "REQUEST_DURATION", "DURATION":
		return strconv.AppendInt(dst, (proxy.Now()-ex.Start)/int64(time.Millisecond), 10)
	}
	return dst
}

func appendAddr(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

func appendIP(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

// appendRequestHeader appends a request header, or its stand-in: "A?B" means A, else B.
func appendRequestHeader(dst []byte, ex *proxy.Exchange, argument string) []byte {
	for argument != "" {
		var name string
		name, argument, _ = strings.Cut(argument, "?")
		if value, ok := requestHeader(ex, name); ok {
			return append(dst, value...)
		}
	}
	return dst
}

func requestHeader(ex *proxy.Exchange, name string) (string, bool) {
	r := &ex.Request
	switch {
	case strings.EqualFold(name, ":path"):
		return r.Path, true
	case strings.EqualFold(name, ":method"):
		return r.Method, true
	case strings.EqualFold(name, ":scheme"):
		return r.Scheme, true
	case strings.EqualFold(name, ":authority"), strings.EqualFold(name, "host"):
		return r.Authority, true
	}
	for i := range r.Headers {
		if strings.EqualFold(r.Headers[i].Name, name) {
			return r.Headers[i].Value, true
		}
	}
	return "", false
}
