package accesslog

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/sluicegate/sluice/proxy"
)

// operator makes the pieces of one of Envoy's commands (document "Substitution Formatter").
type operator struct {
	argument bool // whether it may have one
	make     func(argument string) (piece, wanted, error)
}

// plain is an operator without argument.
func plain(p piece) operator {
	return operator{make: func(string) (piece, wanted, error) { return p, wanted{}, nil }}
}

// text is one whose value may hold anything.
func text(get func(s source) string) operator {
	return plain(piece{text: get})
}

// ofRequest makes the piece of a text of exchanges alone.
func ofRequest(get func(ex *proxy.Exchange) string) piece {
	return piece{text: func(s source) string {
		if s.ex == nil {
			return ""
		}
		return get(s.ex)
	}}
}

// number is one whose value is a number, none where that is negative.
func number(get func(s source) int64) operator { return plain(numeric(get)) }

func numeric(get func(s source) int64) piece {
	return piece{safe: true, number: true, count: get}
}

// appendNumber appends a number in decimal: most are a status, or a few milliseconds.
func appendNumber(dst []byte, n uint64) []byte {
	switch {
	case n < 10:
		return append(dst, byte('0'+n))
	case n >= 100 && n < 1000:
		return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
	}
	return strconv.AppendUint(dst, n, 10)
}

// nothing is an operator that Envoy has for what there is none of here.
var nothing = operator{argument: true, make: func(string) (piece, wanted, error) {
	return piece{safe: true, text: func(source) string { return "" }}, wanted{}, nil
}}

// operators are those that are known, by name. It is filled in by init, as some hold others.
var operators map[string]operator

func init() {
	operators = map[string]operator{
		"PROTOCOL":                       {make: protocol},
		"RESPONSE_CODE":                  plain(piece{safe: true, number: true, fact: factStatus}),
		"RESPONSE_CODE_DETAILS":          {argument: true, make: details},
		"RESPONSE_FLAGS":                 plain(piece{safe: true, get: func(dst []byte, s source) ([]byte, bool) { return s.flags().Append(dst), true }}),
		"RESPONSE_FLAGS_LONG":            plain(piece{safe: true, get: longFlags}),
		"CONNECTION_TERMINATION_DETAILS": plain(piece{fact: factTermination}),

		"BYTES_RECEIVED":                   plain(piece{safe: true, number: true, fact: factBytesReceived}),
		"BYTES_SENT":                       plain(piece{safe: true, number: true, fact: factBytesSent}),
		"REQUEST_HEADERS_BYTES":            number(func(s source) int64 { n, _ := s.heads(); return n }),
		"RESPONSE_HEADERS_BYTES":           number(func(s source) int64 { _, n := s.heads(); return n }),
		"DOWNSTREAM_HEADER_BYTES_RECEIVED": number(func(s source) int64 { n, _ := s.heads(); return n }),
		"DOWNSTREAM_HEADER_BYTES_SENT":     number(func(s source) int64 { _, n := s.heads(); return n }),
		"DOWNSTREAM_WIRE_BYTES_RECEIVED": number(func(s source) int64 {
			body, _ := s.bytes()
			head, _ := s.heads()
			return body + head
		}),
		"DOWNSTREAM_WIRE_BYTES_SENT": number(func(s source) int64 {
			_, body := s.bytes()
			_, head := s.heads()
			return body + head
		}),

		"START_TIME":           {argument: true, make: moment(false, false)},
		"START_TIME_LOCAL":     {argument: true, make: moment(false, true)},
		"EMIT_TIME":            {argument: true, make: moment(true, false)},
		"EMIT_TIME_LOCAL":      {argument: true, make: moment(true, true)},
		"DURATION":             plain(piece{safe: true, number: true, fact: factDuration}),
		"REQUEST_DURATION":     number(func(s source) int64 { return milliseconds(between(s, pointRequestBegan, pointRequestEnded)) }),
		"REQUEST_TX_DURATION":  number(func(s source) int64 { return milliseconds(between(s, pointRequestBegan, pointUpstreamBegan)) }),
		"RESPONSE_DURATION":    number(func(s source) int64 { return milliseconds(between(s, pointRequestBegan, pointResponseBegan)) }),
		"RESPONSE_TX_DURATION": number(func(s source) int64 { return milliseconds(between(s, pointResponseBegan, pointEnd)) }),
		"COMMON_DURATION":      {argument: true, make: commonDuration},

		"UPSTREAM_HOST":                     plain(piece{fact: factUpstreamHost}),
		"UPSTREAM_HOST_NAME":                text(hostName),
		"UPSTREAM_HOST_NAME_WITHOUT_PORT":   text(func(s source) string { return withoutPort(hostName(s)) }),
		"UPSTREAM_CLUSTER":                  plain(piece{fact: factCluster}),
		"UPSTREAM_CLUSTER_RAW":              plain(piece{fact: factCluster}),
		"UPSTREAM_TRANSPORT_FAILURE_REASON": plain(piece{fact: factUpstreamFailure}),
		"UPSTREAM_REQUEST_ATTEMPT_COUNT":    number(func(s source) int64 { return int64(s.attempts()) }),
		"ROUTE_NAME":                        plain(piece{fact: factRoute}),
		"FILTER_CHAIN_NAME":                 text(chain),

		"REQUESTED_SERVER_NAME":           {argument: true, make: serverName},
		"DOWNSTREAM_TLS_VERSION":          plain(piece{safe: true, get: tlsVersion}),
		"DOWNSTREAM_TLS_CIPHER":           plain(piece{safe: true, get: tlsCipher}),
		"DOWNSTREAM_PEER_SUBJECT":         ofPeer(func(c *proxy.PeerCertificate) string { return c.Subject }),
		"DOWNSTREAM_PEER_ISSUER":          ofPeer(func(c *proxy.PeerCertificate) string { return c.Issuer }),
		"DOWNSTREAM_PEER_SERIAL":          ofPeer(func(c *proxy.PeerCertificate) string { return c.Serial }),
		"DOWNSTREAM_PEER_FINGERPRINT_256": ofPeer(func(c *proxy.PeerCertificate) string { return c.Hash }),
		"DOWNSTREAM_PEER_URI_SAN":         ofPeerList(func(c *proxy.PeerCertificate) []string { return c.URIs }),
		"DOWNSTREAM_PEER_DNS_SAN":         ofPeerList(func(c *proxy.PeerCertificate) []string { return c.DNSNames }),

		"GRPC_STATUS":        {argument: true, make: grpcStatus},
		"GRPC_STATUS_NUMBER": number(grpcNumber),
		"STREAM_ID":          plain(piece{fact: factRequestID}),
		"TRACE_ID":           plain(piece{safe: true, get: traceID}),
		"SPAN_ID":            plain(piece{safe: true, get: spanID}),
		"UNIQUE_ID":          plain(piece{safe: true, get: uniqueID}),
		"HOSTNAME":           text(fixed(hostname())),
		"ENVIRONMENT":        {argument: true, make: environment},
		"ACCESS_LOG_TYPE": text(func(s source) string {
			if s.ex != nil {
				return "DownstreamEnd"
			}
			return "TcpConnectionEnd"
		}),
		"CEL":       {argument: true, make: celText},
		"TYPED_CEL": {argument: true, make: celTyped},
		"COALESCE":  {argument: true, make: coalesce},
	}
	addHeaderOperators()
	addAddressOperators()
	for _, name := range absent {
		operators[name] = nothing
	}
}

// absent are operators of Envoy for what is not known here: they are "-".
var absent = []string{
	"BYTES_RETRANSMITTED", "PACKETS_RETRANSMITTED", "RESPONSE_TRAILERS_BYTES", "UPSTREAM_PROTOCOL",
	"UPSTREAM_WIRE_BYTES_SENT", "UPSTREAM_WIRE_BYTES_RECEIVED", "UPSTREAM_HEADER_BYTES_SENT", "UPSTREAM_HEADER_BYTES_RECEIVED",
	"UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
	"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
	"ROUNDTRIP_DURATION", "DOWNSTREAM_HANDSHAKE_DURATION", "UPSTREAM_CONNECTION_POOL_READY_DURATION", "VIRTUAL_CLUSTER_NAME",
	"UPSTREAM_HOSTS_ATTEMPTED", "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", "UPSTREAM_HOST_NAMES_ATTEMPTED", "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
	"UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID", "UPSTREAM_DETECTED_CLOSE_TYPE", "UPSTREAM_LOCAL_CLOSE_REASON",
	"DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DOWNSTREAM_LOCAL_CLOSE_REASON", "DOWNSTREAM_DETECTED_CLOSE_TYPE",
	"DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID", "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
	"CONNECTION_ID", "UPSTREAM_CONNECTION_ID", "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
	"DYNAMIC_METADATA", "CLUSTER_METADATA", "UPSTREAM_METADATA", "METADATA", "FILTER_STATE", "UPSTREAM_FILTER_STATE", "CUSTOM_FLAGS", "LOCAL_REPLY_BODY",
	"DOWNSTREAM_LOCAL_IP_SAN", "DOWNSTREAM_LOCAL_DNS_SAN", "DOWNSTREAM_LOCAL_URI_SAN", "DOWNSTREAM_LOCAL_EMAIL_SAN", "DOWNSTREAM_LOCAL_OTHERNAME_SAN", "DOWNSTREAM_LOCAL_SUBJECT",
	"DOWNSTREAM_PEER_IP_SAN", "DOWNSTREAM_PEER_EMAIL_SAN", "DOWNSTREAM_PEER_OTHERNAME_SAN",
	"DOWNSTREAM_TLS_SESSION_ID", "DOWNSTREAM_TLS_GROUP", "DOWNSTREAM_PEER_FINGERPRINT_1",
	"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1", "DOWNSTREAM_PEER_CHAIN_SERIALS",
	"DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256", "DOWNSTREAM_PEER_ISSUER_SERIAL",
	"DOWNSTREAM_PEER_CERT", "DOWNSTREAM_PEER_CERT_V_START", "DOWNSTREAM_PEER_CERT_V_END", "TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT",
	"UPSTREAM_PEER_SUBJECT", "UPSTREAM_PEER_ISSUER", "UPSTREAM_TLS_SESSION_ID", "UPSTREAM_TLS_CIPHER", "UPSTREAM_TLS_GROUP", "UPSTREAM_TLS_VERSION", "UPSTREAM_SERVER_NAME",
	"UPSTREAM_PEER_CERT", "UPSTREAM_PEER_CERT_V_START", "UPSTREAM_PEER_CERT_V_END",
	"UPSTREAM_PEER_URI_SAN", "UPSTREAM_PEER_DNS_SAN", "UPSTREAM_PEER_IP_SAN", "UPSTREAM_LOCAL_URI_SAN", "UPSTREAM_LOCAL_DNS_SAN", "UPSTREAM_LOCAL_IP_SAN",
}

// operatorNames returns the names of the operators that have values here.
func operatorNames() (names []string) {
	for name := range operators {
		if !slices.Contains(absent, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// status is what the client was answered, 0 for a connection (Envoy).
func status(s source) int {
	if s.ex == nil {
		return 0
	}
	return s.ex.Status
}

func protocol(string) (piece, wanted, error) {
	return piece{dash: true, fact: factProtocol}, wanted{}, nil
}

// details makes %RESPONSE_CODE_DETAILS%: spaces are underscores, unless they are wanted.
func details(argument string) (piece, wanted, error) {
	switch argument {
	case "", "ALLOW_WHITESPACES":
	default:
		return piece{}, wanted{}, fmt.Errorf("the argument is ALLOW_WHITESPACES, or left out")
	}
	return piece{underscores: argument == "", fact: factDetails}, wanted{}, nil
}

func fixed(value string) func(source) string { return func(source) string { return value } }

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func environment(name string) (piece, wanted, error) {
	if name == "" {
		return piece{}, wanted{}, fmt.Errorf("name the variable, such as %%ENVIRONMENT(POD_NAME)%%")
	}
	value := os.Getenv(name)
	return piece{text: func(source) string { return value }}, wanted{}, nil
}

func chain(s source) string {
	if c := s.connection(); c != nil {
		return c.Chain
	}
	return ""
}
