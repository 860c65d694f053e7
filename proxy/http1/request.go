package http1

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"github.com/sluicegate/sluice/router"
)

// Policy is what a listener accepts beyond the grammar: an edge is stricter than a
// sidecar, which talks to its own workload.
type Policy struct {
	// EscapedSlashes says what becomes of a path with %2F, %5C or a backslash.
	EscapedSlashes EscapedSlashes
	// AllowUnderscores keeps header names with an underscore; else they are refused
	// with 400, since many servers take x_forwarded_for for x-forwarded-for.
	AllowUnderscores bool
}

// EscapedSlashes is a policy for escaped slashes in a path, about which servers disagree.
type EscapedSlashes uint8

const (
	// RejectEscapedSlashes answers 400.
	RejectEscapedSlashes EscapedSlashes = iota
	// KeepEscapedSlashes leaves them as they are.
	KeepEscapedSlashes
	// RedirectEscapedSlashes answers 307 to the path with them unescaped.
	RedirectEscapedSlashes
)

// head is a request's head as the parser leaves it. Its strings alias the buffer.
type head struct {
	framing
	method    string
	authority string
	// path is the target in origin form: path and query; "*" for OPTIONS *.
	path   string
	http10 bool
	// absolute tells that the target named the authority (RFC 9112 section 3.2.2).
	absolute bool
	// headers are those to forward; connection those named Connection.
	headers    []router.Header
	connection []router.Header
}

var (
	errMethod          = bad("http1.invalid_method")
	errTarget          = bad("http1.invalid_target")
	errTargetTooLong   = &ProtocolError{Status: 414, Detail: "http1.uri_too_long"}
	errVersion         = bad("http1.invalid_version")
	errVersionUnserved = &ProtocolError{Status: 505, Detail: "http1.unsupported_version"}
	errHostMissing     = bad("http1.missing_host")
	errHostTwice       = bad("http1.several_hosts")
	errHostInvalid     = bad("http1.invalid_host")
	errHostMismatch    = bad("http1.host_differs_from_target")
	errConnect         = &ProtocolError{Status: 405, Detail: "http1.connect_not_allowed"}
	errUpgradeTwice    = bad("http1.several_upgrades")
	errWebSocket       = bad("http1.invalid_websocket_handshake")
	errExpect          = &ProtocolError{Status: 417, Detail: "http1.unsupported_expectation"}
	errAsterisk        = bad("http1.asterisk_without_options")
)

// reset makes the head that of nothing.
func (h *head) reset() {
	headers, connection := h.headers[:0], h.connection[:0]
	*h = head{}
	h.length, h.headers, h.connection = -1, headers, connection
}

// parse reads the head that b begins with, and returns the index behind. Names are changed to
// lower case in place. Where b may hold only a part of the head, an error says nothing.
func (h *head) parse(b []byte, limits *Limits, policy *Policy) (end int, err *ProtocolError) {
	h.reset()
	i, target, err := h.parseLine(b, limits)
	if err != nil {
		return 0, err
	}
	if h.headers, end, err = parseFields(b, i, h.headers, limits.Fields); err != nil {
		return 0, err
	}
	host, err := h.classify(policy)
	if err != nil {
		return 0, err
	}
	if err := h.checkFraming(); err != nil {
		return 0, err
	}
	return end, h.resolveTarget(target, host)
}

// parseLine reads the request line (RFC 9112 section 3): one space between the parts.
// One empty line before it is passed over (section 2.2).
func (h *head) parseLine(b []byte, limits *Limits) (next int, target string, err *ProtocolError) {
	i := 0
	if len(b) > 2 && b[0] == '\r' && b[1] == '\n' {
		i = 2
	}
	start := i
	for i < len(b) && tokenLower[b[i]] != 0 {
		i++
	}
	if i == start || i == len(b) || b[i] != ' ' {
		return 0, "", errMethod
	}
	h.method = str(b[start:i])
	i++
	start = i
	for i < len(b) && targetByte[b[i]] {
		i++
	}
	if i == start || i == len(b) || b[i] != ' ' {
		if i-start > limits.TargetBytes {
			return 0, "", errTargetTooLong
		}
		return 0, "", errTarget
	}
	if i-start > limits.TargetBytes {
		return 0, "", errTargetTooLong
	}
	target = str(b[start:i])
	i++
	if err := h.parseVersion(b[i:]); err != nil {
		return 0, "", err
	}
	return i + len("HTTP/1.1\r\n"), target, nil
}

// parseVersion reads "HTTP/1.1" or "HTTP/1.0" and the end of the line.
func (h *head) parseVersion(b []byte) *ProtocolError {
	if len(b) < len("HTTP/1.1\r\n") || string(b[:5]) != "HTTP/" || b[6] != '.' ||
		b[5] < '0' || b[5] > '9' || b[7] < '0' || b[7] > '9' || b[8] != '\r' || b[9] != '\n' {
		return errVersion
	}
	if b[5] != '1' {
		return errVersionUnserved
	}
	switch b[7] {
	case '1':
	case '0':
		h.http10 = true
	default:
		return errVersion
	}
	return nil
}

// classify takes the fields that are the codec's own out of headers, which keeps those to
// forward, and returns the Host field.
func (h *head) classify(policy *Policy) (host string, err *ProtocolError) {
	hosts := 0
	kept := h.headers[:0]
	for _, f := range h.headers {
		switch kindOf(f.Name) {
		case fieldForward:
			if !policy.AllowUnderscores && strings.IndexByte(f.Name, '_') >= 0 {
				return "", errUnderscore
			}
			kept = append(kept, f)
		case fieldHost:
			hosts++
			host = f.Value
		case fieldLength:
			err = h.setLength(f.Value)
		case fieldTransferEncoding:
			err = h.setTransferEncoding(f.Value)
		case fieldConnection:
			err = h.setConnection(f.Value)
			h.connection = append(h.connection, f)
		case fieldTE:
			h.setTE(f.Value)
		case fieldTrailer:
			h.hasTrailer = true
		case fieldUpgrade:
			if h.upgrade != "" {
				err = errUpgradeTwice
			}
			h.upgrade = f.Value
		case fieldExpect:
			if h.expect != "" {
				err = errExpect
			}
			h.expect = f.Value
		}
		if err != nil {
			return "", err
		}
	}
	if hosts > 1 {
		return "", errHostTwice
	}
	if hosts == 0 && !h.http10 {
		return "", errHostMissing
	}
	if h.options > 0 {
		kept = dropNominated(kept, h.connection)
	}
	h.headers = kept
	return host, nil
}

// checkFraming settles what the fields together say.
func (h *head) checkFraming() *ProtocolError {
	if h.chunked && h.http10 {
		return errTEOldVersion
	}
	if h.chunked && h.length >= 0 {
		return errLengthAndTE
	}
	if perr := h.checkUpgrade(); perr != nil {
		return perr
	}
	if h.expect != "" && (!equalFold(h.expect, "100-continue")) {
		return errExpect
	}
	if h.http10 {
		h.expect = ""
	}
	return nil
}

// checkUpgrade drops an Upgrade that does not count: one that Connection does not nominate,
// a list of protocols, one beside a body, and everything but a WebSocket's, since a tunnel
// of another protocol (h2c above all) could carry requests that this proxy does not see.
// A WebSocket's opening is checked (RFC 6455 section 4.2.1).
func (h *head) checkUpgrade() *ProtocolError {
	if !h.upgradeSeen || h.http10 || h.chunked || h.length > 0 || !equalFold(h.upgrade, "websocket") {
		h.upgrade = ""
		return nil
	}
	if h.method != "GET" {
		return errWebSocket
	}
	keys, version := 0, false
	for _, f := range h.headers {
		switch f.Name {
		case "sec-websocket-key":
			if keys++; !validWebSocketKey(f.Value) {
				return errWebSocket
			}
		case "sec-websocket-version":
			version = f.Value == "13"
		}
	}
	if keys != 1 || !version {
		return errWebSocket
	}
	return nil
}

// validWebSocketKey tells whether a key is 16 bytes in base64.
func validWebSocketKey(key string) bool {
	var raw [18]byte
	if len(key) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// resolveTarget settles authority and path from the target and the Host field (RFC 9112
// section 3.2 and 3.3).
func (h *head) resolveTarget(target, host string) *ProtocolError {
	if h.method == "CONNECT" {
		return errConnect
	}
	switch {
	case target[0] == '/':
		h.path = target
	case target == "*":
		if h.method != "OPTIONS" {
			return errAsterisk
		}
		h.path = target
	default:
		rest, ok := cutScheme(target)
		if !ok {
			return errTarget
		}
		end := strings.IndexAny(rest, "/?")
		switch {
		case end < 0:
			h.authority, h.path = rest, "/"
		case rest[end] == '?':
			// "http://host?query" has no path: its origin form begins with "/?". The
			// byte before the '?' is the host's, so this one case copies.
			h.authority, h.path = rest[:end], "/"+rest[end:]
		default:
			h.authority, h.path = rest[:end], rest[end:]
		}
		if h.authority == "" {
			return errTarget
		}
		if host != "" && !sameAuthority(host, h.authority) {
			return errHostMismatch
		}
		h.absolute = true
	}
	if !h.absolute {
		h.authority = host
	}
	if h.authority == "" {
		if h.http10 {
			return nil
		}
		return errHostInvalid
	}
	if !validAuthority(h.authority) {
		return errHostInvalid
	}
	return nil
}

// cutScheme cuts "http://" or "https://" off an absolute-form target.
func cutScheme(target string) (rest string, ok bool) {
	if len(target) > 7 && equalFold(target[:7], "http://") {
		return target[7:], true
	}
	if len(target) > 8 && equalFold(target[:8], "https://") {
		return target[8:], true
	}
	return "", false
}

func sameAuthority(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

// hostByte holds for a reg-name of DNS kind: what else RFC 3986 allows there (such as
// %-escapes and sub-delims) names no host that we serve, and confuses others.
var hostByte = func() (t [256]bool) {
	for c := 0; c < 256; c++ {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
	}
	return t
}()

// validLabels refuses a host with an A-label ("xn--...") that stands for no valid
// international name (RFC 5891 section 4): two readers could make different hosts of it.
func validLabels(host string) bool {
	for at := 0; at+4 <= len(host); at++ {
		if host[at] == '-' && host[at+1] == '-' && at >= 2 && host[at-2]|0x20 == 'x' && host[at-1]|0x20 == 'n' && (at == 2 || host[at-3] == '.') {
			_, err := idna.Lookup.ToUnicode(strings.TrimSuffix(host, "."))
			return err == nil
		}
	}
	return true
}

// maxAuthority is more than any authority has: a name of 253 characters with a dot behind it
// (RFC 1035 section 2.3.4), a colon and a port.
const maxAuthority = 260

// validAuthority accepts host, host:port, [v6] and [v6]:port, without user information.
func validAuthority(a string) bool {
	if len(a) > maxAuthority {
		return false
	}
	i := 0
	if a[0] == '[' {
		if i = strings.IndexByte(a, ']'); i < 0 {
			return false
		}
		if ip, err := netip.ParseAddr(a[1:i]); err != nil || !ip.Is6() || ip.Zone() != "" {
			return false
		}
		i++
	} else {
		for i < len(a) && hostByte[a[i]] {
			i++
		}
		if i == 0 || !validLabels(a[:i]) {
			return false
		}
	}
	if i == len(a) {
		return true
	}
	if a[i] != ':' {
		return false
	}
	port := 0
	for i++; i < len(a); i++ {
		if a[i] < '0' || a[i] > '9' {
			return false
		}
		if port = port*10 + int(a[i]-'0'); port > 65535 {
			return false
		}
	}
	return true
}
