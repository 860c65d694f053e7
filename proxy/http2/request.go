package http2

import (
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// headVerdict is what a look at a request's fields finds.
type headVerdict uint8

const (
	headGood headVerdict = iota
	// headMalformed: the stream ends with PROTOCOL_ERROR (RFC 9113 section 8.1.1).
	headMalformed
)

// requestHead is what a request's fields say, beside what the exchange knows.
type requestHead struct {
	method, scheme, authority, path, protocol, host string
	// length is the Content-Length, -1 where there is none.
	length int64
	// head: the method is HEAD. expect: Expect: 100-continue. trailers: a Trailer field
	// announces trailers, or TE wants them.
	head, expect, trailers bool
	// urgency is RFC 9218's, from 0, the most urgent, to 7.
	urgency uint8
	// rejection, where not nil, is what the request is answered; redirect, that it is sent
	// to its path instead.
	rejection *http1.ProtocolError
	redirect  bool
	seen      uint8
}

const defaultUrgency = 3

var (
	errHeadTooLarge = &http1.ProtocolError{Status: 431, Detail: "http2.headers_too_large"}
	errHostInvalid  = &http1.ProtocolError{Status: 400, Detail: "http2.invalid_authority"}
	errHostMismatch = &http1.ProtocolError{Status: 400, Detail: "http2.host_differs_from_authority"}
	errScheme       = &http1.ProtocolError{Status: 400, Detail: "http2.invalid_scheme"}
	errExpectation  = &http1.ProtocolError{Status: 417, Detail: "http2.unsupported_expectation"}
	errConnect      = &http1.ProtocolError{Status: 405, Detail: "http2.connect_not_allowed"}
	errProtocol     = &http1.ProtocolError{Status: 501, Detail: "http2.unsupported_protocol"}
	errWebSocket    = &http1.ProtocolError{Status: 400, Detail: "http2.invalid_websocket_handshake"}
)

// parse makes an exchange of the stream's fields. end tells that the request has no body.
func (st *serverStream) parse(end bool) headVerdict {
	h := &st.head
	*h = requestHead{length: -1, urgency: defaultUrgency}
	if st.list.malformed || !h.pseudoFields(st.list.fields) {
		return headMalformed
	}
	st.identify()
	if st.list.tooLarge {
		h.rejection = errHeadTooLarge
		return headGood
	}
	if !st.fields() || end && h.length > 0 {
		return headMalformed
	}
	if !h.complete() {
		return headMalformed
	}
	st.resolve()
	st.setBody(end)
	return headGood
}

// identify sets what the exchange knows of itself before its request is understood.
func (st *serverStream) identify() {
	ex, info, h := &st.ex, st.c.info, &st.head
	ex.Start = st.c.now
	ex.Connection = info
	ex.Local, ex.Remote, ex.Client = info.Local, info.Remote, info.Remote.Addr()
	ex.ResponseServiceTime = -1
	ex.Protocol = "HTTP/2"
	r := &ex.Request
	r.Listener, r.Chain = info.Listener, info.Chain
	r.Method, r.Authority, r.Path = h.method, h.authority, h.path
	r.Scheme = "http"
	if tls := info.TLS; tls != nil {
		r.Scheme, ex.ServerName = "https", tls.ServerName
	}
}

// pseudoFields takes the pseudo-header fields, which come first and once each (RFC 9113
// section 8.3).
func (h *requestHead) pseudoFields(fields []router.Header) bool {
	for i := range fields {
		f := &fields[i]
		if f.Name[0] != ':' {
			return true
		}
		var to *string
		var bit uint8
		switch f.Name {
		case ":method":
			to, bit = &h.method, 1
		case ":scheme":
			to, bit = &h.scheme, 2
		case ":authority":
			to, bit = &h.authority, 4
		case ":path":
			to, bit = &h.path, 8
		case ":protocol":
			to, bit = &h.protocol, 16
		default:
			return false
		}
		if h.seen&bit != 0 {
			return false
		}
		h.seen |= bit
		*to = f.Value
	}
	return true
}

// fields takes the fields that are the codec's own, and leaves those to forward. It tells
// false where the request is malformed.
func (st *serverStream) fields() bool {
	h := &st.head
	fields := st.list.fields
	kept := fields[:0]
	cookie, crumbs, regular := -1, 0, false
	for _, f := range fields {
		if f.Name[0] == ':' {
			if regular {
				return false
			}
			continue
		}
		regular = true
		forward, ok := h.field(&f, &st.c.options.Policy)
		if !ok {
			return false
		}
		if !forward {
			continue
		}
		if f.Name == "cookie" {
			if crumbs++; cookie >= 0 {
				kept[cookie].Value = st.join(kept[cookie].Value, f.Value, crumbs)
				continue
			}
			cookie = len(kept)
		}
		kept = append(kept, f)
	}
	st.ex.Request.Headers = kept
	st.ex.WantsTrailers = h.te()
	return true
}

// join joins cookies that the client has sent in pieces (RFC 9113 section 8.2.3).
func (st *serverStream) join(all, crumb string, n int) string {
	if n == 2 {
		return st.ex.Keep(all, "; ", crumb)
	}
	// Scratch ends with what was joined so far.
	at := len(st.ex.Scratch) - len(all)
	st.ex.Scratch = append(append(st.ex.Scratch, "; "...), crumb...)
	return st.ex.KeptFrom(at)
}

const seenTE = 1 << 7

func (h *requestHead) te() bool { return h.seen&seenTE != 0 }

// field looks at one field: forward tells whether it is the upstream's to see, ok whether it
// may be there (RFC 9113 section 8.2.2).
func (h *requestHead) field(f *router.Header, policy *http1.Policy) (forward, ok bool) {
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return false, false
	case "http2-settings":
		return false, true
	case "te":
		if !strings.EqualFold(f.Value, "trailers") {
			return false, false
		}
		h.seen |= seenTE
		return false, true
	case "trailer":
		h.trailers = true
		return false, true
	case "host":
		if h.host != "" {
			return false, false
		}
		h.host = f.Value
		return false, f.Value != ""
	case "content-length":
		n, ok := http1.ParseLength(f.Value)
		if !ok || h.length >= 0 {
			return false, false
		}
		h.length = n
		return false, true
	case "expect":
		if h.expect = strings.EqualFold(f.Value, "100-continue"); !h.expect {
			h.reject(errExpectation)
		}
		return false, true
	case "priority":
		h.urgency = urgency(f.Value)
	}
	if policy.Underscored(f.Name) {
		h.reject(http1.ErrUnderscore())
	}
	return true, true
}

// reject notes the first reason to turn the request down.
func (h *requestHead) reject(e *http1.ProtocolError) {
	if h.rejection == nil {
		h.rejection = e
	}
}

// complete tells whether the pseudo-header fields are there that the method wants.
func (h *requestHead) complete() bool {
	const method, scheme, authority, path, protocol = 1, 2, 4, 8, 16
	if h.seen&method == 0 || !http1.ValidMethod(h.method) {
		return false
	}
	if h.method == "CONNECT" && h.seen&protocol == 0 {
		return h.seen&(scheme|path) == 0 && h.authority != ""
	}
	if h.seen&protocol != 0 && (h.method != "CONNECT" || h.seen&authority == 0) {
		return false
	}
	if h.seen&scheme == 0 || h.seen&path == 0 {
		return false
	}
	return h.path != "" && (h.path[0] == '/' || h.path == "*" && h.method == "OPTIONS") && strings.IndexByte(h.authority, '@') < 0
}

// resolve settles the request's authority and path, or why it is turned down.
func (st *serverStream) resolve() {
	h, o, r := &st.head, st.c.options, &st.ex.Request
	h.head = h.method == "HEAD"
	if h.method == "CONNECT" && h.protocol == "" {
		h.reject(errConnect)
		return
	}
	if h.scheme != "http" && h.scheme != "https" {
		h.reject(errScheme)
	}
	if h.authority == "" {
		h.authority = h.host
	} else if h.host != "" && !http1.SameAuthority(h.host, h.authority) {
		h.reject(errHostMismatch)
	}
	r.Authority = h.authority
	if !http1.ValidAuthority(h.authority) {
		h.reject(errHostInvalid)
		return
	}
	if err := http1.CheckTarget(h.path, &o.Limits); err != nil {
		h.reject(err)
		return
	}
	path, buf, redirect, err := http1.AppendNormalPath(st.pathBuf[:0], h.path, o.Policy.EscapedSlashes)
	if err != nil {
		h.reject(err)
		return
	}
	r.Path, st.pathBuf = path, buf
	if redirect {
		h.reject(http1.PathRedirect())
		h.redirect = h.rejection == http1.PathRedirect()
	}
	if o.PortFromAuthority {
		r.Port = http1.AuthorityPort(r.Authority)
	}
	if h.protocol != "" {
		st.upgrade()
	}
}

// setBody says what the request's body is like. One that trailers are to follow is no less one
// whose end is to be waited for because it has a length.
func (st *serverStream) setBody(end bool) {
	h, ex := &st.head, &st.ex
	switch {
	case ex.Request.Upgrade != "":
	case h.length >= 0 && (end || !h.trailers):
		ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: h.length}
	case !end:
		ex.Body = proxy.Body{Kind: proxy.BodyStream}
	}
}

// urgency reads the parameter u of a Priority field (RFC 9218 section 4.1).
func urgency(value string) uint8 {
	for i := 0; i+2 < len(value); i++ {
		if value[i] == 'u' && value[i+1] == '=' && (i == 0 || value[i-1] == ' ' || value[i-1] == ',') && value[i+2] >= '0' && value[i+2] <= '7' {
			return value[i+2] - '0'
		}
	}
	return defaultUrgency
}
