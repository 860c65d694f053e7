package expression

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// attribute is one that is known of exchanges, or of connections too. get returns an error
// where there is none.
type attribute struct {
	typ     typ
	get     func(m *machine) value
	headers headerSource // of maps
}

func (a *attribute) eval(m *machine) value { return a.get(m) }

// ofRequest and the like make attributes of exchanges, of either, and of the client's TLS.
func ofRequest(k kind, get func(ex *proxy.Exchange) value) attribute {
	return attribute{typ: typ{kind: k}, get: func(m *machine) value {
		if m.ex == nil {
			return failed
		}
		return get(m.ex)
	}}
}

func ofEither(k kind, get func(m *machine) value) attribute {
	return attribute{typ: typ{kind: k}, get: get}
}

func ofPeer(get func(c *proxy.PeerCertificate) string) attribute {
	return ofEither(kindString, func(m *machine) value {
		if m.connection == nil || m.connection.TLS == nil || m.connection.TLS.Peer == nil {
			return failed
		}
		return present(get(m.connection.TLS.Peer))
	})
}

func ofHeaders(source headerSource) attribute {
	return attribute{typ: headerType, headers: source, get: func(m *machine) value {
		if m.ex == nil {
			return failed
		}
		return value{kind: kindMap, source: source}
	}}
}

// present returns a string, an error where it is empty.
func present(s string) value {
	if s == "" {
		return failed
	}
	return stringValue(s)
}

// attributes are those of Envoy (document "Attributes") that can be known here.
var attributes = map[string]attribute{
	"request.path":   ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Request.Path) }),
	"request.host":   ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Request.Authority) }),
	"request.scheme": ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Request.Scheme) }),
	"request.method": ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Request.Method) }),
	"request.url_path": ofRequest(kindString, func(ex *proxy.Exchange) value {
		path, _, _ := strings.Cut(ex.Request.Path, "?")
		return present(path)
	}),
	"request.query": ofRequest(kindString, func(ex *proxy.Exchange) value {
		_, query, _ := strings.Cut(ex.Request.Path, "?")
		if ex.Request.Path == "" {
			return failed
		}
		return stringValue(query)
	}),
	"request.headers":       ofHeaders(requestHeaders),
	"request.headers_bytes": ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.HeadReceived) }),
	"request.referer":       ofHeader("referer"),
	"request.useragent":     ofHeader("user-agent"),
	"request.id":            ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.RequestID) }),
	"request.protocol":      ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Protocol) }),
	"request.time":          ofRequest(kindTime, func(ex *proxy.Exchange) value { return timeValue(proxy.Wall(ex.Start)) }),
	"request.duration":      ofRequest(kindDuration, func(ex *proxy.Exchange) value { return durationValue(time.Duration(max(0, ex.End-ex.Start))) }),
	"request.size":          ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.BytesReceived) }),
	"request.total_size":    ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.BytesReceived + ex.HeadReceived) }),

	"response.code": ofRequest(kindInt, func(ex *proxy.Exchange) value {
		if ex.Status == 0 {
			return failed
		}
		return intValue(int64(ex.Status))
	}),
	"response.code_details":  ofRequest(kindString, func(ex *proxy.Exchange) value { return present(ex.Details) }),
	"response.flags":         ofEither(kindInt, func(m *machine) value { return intValue(envoyFlags(m.flags())) }),
	"response.grpc_status":   ofRequest(kindInt, grpcStatus),
	"response.headers":       ofHeaders(responseHeaders),
	"response.trailers":      ofHeaders(responseTrailers),
	"response.headers_bytes": ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.HeadSent) }),
	"response.size":          ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.BytesSent) }),
	"response.total_size":    ofRequest(kindInt, func(ex *proxy.Exchange) value { return intValue(ex.BytesSent + ex.HeadSent) }),
	"response.backend_latency": ofRequest(kindDuration, func(ex *proxy.Exchange) value {
		if ex.UpstreamStart == 0 || ex.UpstreamFirst == 0 {
			return failed
		}
		return durationValue(time.Duration(max(0, ex.End-ex.UpstreamStart)))
	}),

	"source.address":      ofEither(kindString, func(m *machine) value { return present(m.address(m.source())) }),
	"source.port":         ofEither(kindInt, func(m *machine) value { return portOf(m.source()) }),
	"destination.address": ofEither(kindString, func(m *machine) value { return present(m.address(m.destination())) }),
	"destination.port":    ofEither(kindInt, func(m *machine) value { return portOf(m.destination()) }),

	"connection.mtls": ofEither(kindBool, func(m *machine) value {
		return boolValue(m.connection != nil && m.connection.TLS != nil && m.connection.TLS.Peer != nil)
	}),
	"connection.requested_server_name":          ofEither(kindString, func(m *machine) value { return present(m.serverName()) }),
	"connection.tls_version":                    ofEither(kindString, tlsVersion),
	"connection.subject_peer_certificate":       ofPeer(func(c *proxy.PeerCertificate) string { return c.Subject }),
	"connection.uri_san_peer_certificate":       ofPeer(func(c *proxy.PeerCertificate) string { return first(c.URIs) }),
	"connection.dns_san_peer_certificate":       ofPeer(func(c *proxy.PeerCertificate) string { return first(c.DNSNames) }),
	"connection.sha256_peer_certificate_digest": ofPeer(func(c *proxy.PeerCertificate) string { return c.Hash }),
	"connection.termination_details":            ofEither(kindString, func(m *machine) value { return present(m.termination()) }),

	"upstream.address": ofEither(kindString, func(m *machine) value { return present(m.upstream()) }),
	"upstream.port":    ofEither(kindInt, func(m *machine) value { return portOfText(m.upstream()) }),
	"upstream.local_address": ofEither(kindString, func(m *machine) value {
		if m.ex != nil {
			return present(m.ex.UpstreamLocal)
		}
		return present(m.address(m.st.UpstreamLocal))
	}),
	"upstream.transport_failure_reason": ofEither(kindString, func(m *machine) value {
		if m.ex != nil {
			return present(m.ex.UpstreamFailure)
		}
		return present(m.st.UpstreamFailure)
	}),
	"upstream.request_attempt_count": ofEither(kindUint, func(m *machine) value {
		if m.ex != nil {
			return uintValue(uint64(max(0, m.ex.Attempts)))
		}
		return uintValue(uint64(max(0, m.st.Attempts)))
	}),

	"xds.route_name":   ofEither(kindString, func(m *machine) value { return present(m.routeName()) }),
	"xds.cluster_name": ofEither(kindString, func(m *machine) value { return present(m.clusterName()) }),
	"xds.filter_chain_name": ofEither(kindString, func(m *machine) value {
		if m.connection == nil {
			return failed
		}
		return present(m.connection.Chain)
	}),
	"xds.listener_direction": ofEither(kindInt, func(m *machine) value {
		if m.connection != nil && m.connection.Inbound {
			return intValue(1)
		}
		return intValue(2)
	}),
}

// examples are attributes of each beginning, for those who forget the rest.
var examples = map[string]string{
	"request": "request.path", "response": "response.code", "source": "source.address", "destination": "destination.port",
	"connection": "connection.mtls", "upstream": "upstream.address", "xds": "xds.route_name",
}

func ofHeader(name string) attribute {
	return ofEither(kindString, func(m *machine) value {
		if m.ex == nil {
			return failed
		}
		s, found := m.header(requestHeaders, name)
		if !found {
			return failed
		}
		return stringValue(s)
	})
}

func grpcStatus(ex *proxy.Exchange) value {
	status := ex.GRPCStatus
	if status == "" && ex.GRPC && ex.Status != 0 {
		status = proxy.GRPCStatusOf(ex.Status)
	}
	n, err := strconv.ParseInt(status, 10, 32)
	if status == "" || err != nil {
		return failed
	}
	return intValue(n)
}

func tlsVersion(m *machine) value {
	if m.connection == nil || m.connection.TLS == nil {
		return failed
	}
	switch m.connection.TLS.Version {
	case tls.VersionTLS13:
		return stringValue("TLSv1.3")
	case tls.VersionTLS12:
		return stringValue("TLSv1.2")
	}
	return failed
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func portOf(a netip.AddrPort) value {
	if !a.IsValid() {
		return failed
	}
	return intValue(int64(a.Port()))
}

func portOfText(address string) value {
	n, err := strconv.ParseUint(address[strings.LastIndexByte(address, ':')+1:], 10, 16)
	if address == "" || err != nil {
		return failed
	}
	return intValue(int64(n))
}
