package accesslog

import (
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/telemetry/expression"
)

// longNames are those that %RESPONSE_FLAGS_LONG% has for the flags.
var longNames = map[string]string{
	"NR": "NoRouteFound", "NC": "NoClusterFound", "UH": "NoHealthyUpstream", "UF": "UpstreamConnectionFailure",
	"UC": "UpstreamConnectionTermination", "UR": "UpstreamRemoteReset", "UT": "UpstreamRequestTimeout", "UO": "UpstreamOverflow",
	"URX": "UpstreamRetryLimitExceeded", "UPE": "UpstreamProtocolError", "DC": "DownstreamConnectionTermination",
	"DPE": "DownstreamProtocolError", "SI": "StreamIdleTimeout", "DT": "DurationTimeout", "DI": "DelayInjected",
	"FI": "FaultInjected", "OM": "OverloadManagerTerminated", "RL": "RateLimited", "RLSE": "RateLimitServiceError",
	"UAEX": "UnauthorizedExternalService", "DF": "DnsResolutionFailed",
}

func longFlags(dst []byte, s source) ([]byte, bool) {
	f := s.flags()
	for rest := f; rest != 0; rest &= rest - 1 {
		if rest != f {
			dst = append(dst, ',')
		}
		at := len(dst)
		dst = (rest & -rest).Append(dst)
		if long := longNames[string(dst[at:])]; long != "" {
			dst = append(dst[:at], long...)
		}
	}
	return dst, f != 0
}

// serverName makes %REQUESTED_SERVER_NAME(X:Y)%: the SNI, or the host that was asked for.
func serverName(argument string) (piece, wanted, error) {
	first, host, _ := strings.Cut(argument, ":")
	switch first {
	case "", "SNI_ONLY", "SNI_FIRST", "HOST_FIRST":
	default:
		return piece{}, wanted{}, errors.New("the first argument is SNI_ONLY, SNI_FIRST or HOST_FIRST")
	}
	switch host {
	case "", "ORIG", "HOST", "ORIG_OR_HOST":
	default:
		return piece{}, wanted{}, errors.New("the second argument is ORIG, HOST or ORIG_OR_HOST")
	}
	if argument == "" {
		return piece{fact: factServerName}, wanted{}, nil
	}
	return piece{text: func(s source) string {
		name := ""
		if first != "HOST_FIRST" {
			name = s.serverName()
		}
		if name == "" && s.ex != nil && strings.HasSuffix(first, "_FIRST") {
			if name = s.ex.Request.Authority; host == "ORIG" {
				name = rewritten(name, s.ex.UpstreamAuthority)
			}
		}
		return name
	}}, wanted{}, nil
}

func ofPeer(get func(c *proxy.PeerCertificate) string) operator {
	return text(func(s source) string {
		if c := s.peer(); c != nil {
			return get(c)
		}
		return ""
	})
}

// ofPeerList is ofPeer for several values, joined by commas.
func ofPeerList(get func(c *proxy.PeerCertificate) []string) operator {
	return plain(piece{get: func(dst []byte, s source) ([]byte, bool) {
		c := s.peer()
		if c == nil {
			return dst, false
		}
		for i, v := range get(c) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, v...)
		}
		return dst, true
	}})
}

func tlsVersion(dst []byte, s source) ([]byte, bool) {
	if t := s.tls(); t != nil {
		switch t.Version {
		case tls.VersionTLS13:
			return append(dst, "TLSv1.3"...), true
		case tls.VersionTLS12:
			return append(dst, "TLSv1.2"...), true
		}
	}
	return dst, false
}

// cipherNames are those of OpenSSL, which differ from the standard's before TLS 1.3.
var cipherNames = func() map[uint16]string {
	names := map[uint16]string{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            "ECDHE-RSA-AES128-SHA",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
	}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, c := range list {
			if names[c.ID] == "" {
				names[c.ID] = c.Name
			}
		}
	}
	return names
}()

func tlsCipher(dst []byte, s source) ([]byte, bool) {
	if t := s.tls(); t != nil {
		return append(dst, cipherNames[t.CipherSuite]...), true
	}
	return dst, false
}

// grpcNumber is the status of a gRPC call, -1 where it was none.
func grpcNumber(s source) int64 {
	if s.ex == nil {
		return -1
	}
	text := s.ex.GRPCStatus
	if text == "" && s.ex.GRPC && s.ex.Status != 0 {
		text = proxy.GRPCStatusOf(s.ex.Status)
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if text == "" || err != nil {
		return -1
	}
	return int64(n)
}

// grpcNames are the status codes of gRPC (google.rpc.Code), OK first.
var grpcNames = [...][2]string{
	{"OK", "OK"}, {"Canceled", "CANCELLED"}, {"Unknown", "UNKNOWN"}, {"InvalidArgument", "INVALID_ARGUMENT"},
	{"DeadlineExceeded", "DEADLINE_EXCEEDED"}, {"NotFound", "NOT_FOUND"}, {"AlreadyExists", "ALREADY_EXISTS"},
	{"PermissionDenied", "PERMISSION_DENIED"}, {"ResourceExhausted", "RESOURCE_EXHAUSTED"}, {"FailedPrecondition", "FAILED_PRECONDITION"},
	{"Aborted", "ABORTED"}, {"OutOfRange", "OUT_OF_RANGE"}, {"Unimplemented", "UNIMPLEMENTED"}, {"Internal", "INTERNAL"},
	{"Unavailable", "UNAVAILABLE"}, {"DataLoss", "DATA_LOSS"}, {"Unauthenticated", "UNAUTHENTICATED"},
}

// grpcStatus makes %GRPC_STATUS(X)%.
func grpcStatus(argument string) (piece, wanted, error) {
	column := 0
	switch argument {
	case "", "CAMEL_STRING":
	case "SNAKE_STRING":
		column = 1
	case "NUMBER":
		return numeric(grpcNumber), wanted{}, nil
	default:
		return piece{}, wanted{}, errors.New("the argument is CAMEL_STRING, SNAKE_STRING or NUMBER")
	}
	return piece{safe: true, get: func(dst []byte, s source) ([]byte, bool) {
		n := grpcNumber(s)
		switch {
		case n < 0:
			return dst, false
		case n >= int64(len(grpcNames)):
			return append(dst, "InvalidCode"...), true
		}
		return append(dst, grpcNames[n][column]...), true
	}}, wanted{}, nil
}

func traceID(dst []byte, s source) ([]byte, bool) {
	if s.ex == nil || s.ex.Trace.ID == [16]byte{} {
		return dst, false
	}
	return hex.AppendEncode(dst, s.ex.Trace.ID[:]), true
}

func spanID(dst []byte, s source) ([]byte, bool) {
	if s.ex == nil || s.ex.Trace.Span == [8]byte{} {
		return dst, false
	}
	return hex.AppendEncode(dst, s.ex.Trace.Span[:]), true
}

// uniqueID appends a random UUID (RFC 9562, version 4).
func uniqueID(dst []byte, _ source) ([]byte, bool) {
	high, low := rand.Uint64(), rand.Uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 1<<63
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		n := high
		if i >= 16 {
			n = low
		}
		dst = append(dst, "0123456789abcdef"[n>>(60-4*(i&15))&15])
	}
	return dst, true
}

// celText makes %CEL(EXPRESSION)%, and celTyped %TYPED_CEL(EXPRESSION)%, which JSON has as a
// number or as true or false where it is that.
func celText(argument string) (piece, wanted, error) {
	p, w, err := celTyped(argument)
	p.number = false
	return p, w, err
}

func celTyped(argument string) (piece, wanted, error) {
	p, err := expression.Compile(argument, expression.Text)
	if err != nil {
		return piece{}, wanted{}, err
	}
	return piece{number: p.IsLiteral(), get: func(dst []byte, s source) ([]byte, bool) {
		if s.ex == nil {
			return p.AppendStringStream(dst, s.st)
		}
		return p.AppendString(dst, s.ex)
	}}, wanted{headers: p.ResponseHeaders(), trailers: p.ResponseTrailers()}, nil
}

// coalesce makes %COALESCE(JSON)%: the first operator of a list that has a value.
func coalesce(argument string) (piece, wanted, error) {
	var spec struct{ Operators []json.RawMessage }
	var w wanted
	if err := json.Unmarshal([]byte(argument), &spec); err != nil || len(spec.Operators) == 0 {
		return piece{}, w, errors.New(`the argument is an object such as {"operators": ["REQUESTED_SERVER_NAME", {"command": "REQ", "param": ":authority"}]}`)
	}
	var list []piece
	for _, raw := range spec.Operators {
		var one struct {
			Command, Param string
			MaxLength      int `json:"max_length"`
		}
		if json.Unmarshal(raw, &one.Command) != nil && (json.Unmarshal(raw, &one) != nil || one.Command == "") {
			return piece{}, w, fmt.Errorf(`%s is no operator: write its name, or {"command": NAME, "param": ARGUMENT}`, excerpt(string(raw)))
		}
		p, more, err := command{name: one.Command, argument: one.Param, limit: one.MaxLength, cut: one.MaxLength > 0}.compile()
		if err != nil {
			return piece{}, w, err
		}
		list = append(list, p)
		w.add(more)
	}
	return piece{get: func(dst []byte, s source) ([]byte, bool) {
		for i := range list {
			if dst, ok := list[i].value(dst, s); ok {
				return dst, true
			}
		}
		return dst, false
	}}, w, nil
}
