package recent

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxHeaders bounds the headers that are remembered of a request, maxValue each of their
	// values, maxPath the path, and maxText every other text, in bytes.
	maxHeaders = 32
	maxValue   = 256
	maxPath    = 1024
	maxText    = 400
	// maxRecord bounds the texts of a request together.
	maxRecord = 8 << 10
)

// redacted stands for what could let somebody in.
const redacted = "[redacted]"

// span is a text among those of a record.
type span struct{ from, to uint16 }

// record is a Summary in memory that is used again: its texts stand in one buffer.
type record struct {
	sequence, generation uint64
	text                 []byte
	headers              [maxHeaders]struct{ name, value span }
	headerCount          int

	id, method, scheme, authority, path, protocol span
	listener, chain, serverName                   span
	grpcStatus, details, termination              span
	virtualHost, route, cluster                   span
	upstreamHost, upstreamFailure                 span
	rule                                          router.Origin
	port                                          uint16
	inbound                                       bool
	remote                                        netip.AddrPort
	client                                        netip.Addr
	status, upstreamStatus, attempts              int
	flags                                         proxy.Flags
	start, upstreamStart, upstreamFirst, end      int64
	bytesReceived, bytesSent                      int64
}

// keep copies a text, cut to so many bytes.
func (r *record) keep(s string, limit int) span {
	from := len(r.text)
	s = s[:min(len(s), limit, maxRecord-from)]
	r.text = append(r.text, s...)
	return span{uint16(from), uint16(len(r.text))}
}

func (r *record) of(s span) string { return string(r.text[s.from:s.to]) }

// take makes the record that of an exchange.
func (r *record) take(ex *proxy.Exchange) {
	req := &ex.Request
	r.text = r.text[:0]
	r.id = r.keep(ex.RequestID, maxText)
	r.method, r.scheme = r.keep(req.Method, maxText), r.keep(req.Scheme, maxText)
	r.authority, r.path = r.keep(req.Authority, maxText), r.keep(req.Path, maxPath)
	r.protocol = r.keep(ex.Protocol, maxText)
	r.listener, r.chain, r.port = r.keep(req.Listener, maxText), r.keep(req.Chain, maxText), req.Port
	r.serverName = r.keep(ex.ServerName, maxText)
	r.inbound = ex.Connection != nil && ex.Connection.Inbound
	r.remote, r.client = ex.Remote, ex.Client
	r.status, r.flags, r.grpcStatus = ex.Status, ex.Flags, r.keep(ex.GRPCStatus, maxText)
	r.details, r.termination = r.keep(ex.Details, maxText), r.keep(ex.Termination, maxText)
	r.takeDecision(ex)
	r.upstreamHost, r.upstreamFailure = r.keep(ex.UpstreamHost, maxText), r.keep(ex.UpstreamFailure, maxText)
	r.upstreamStatus, r.attempts = ex.UpstreamStatus, ex.Attempts
	r.start, r.upstreamStart, r.upstreamFirst, r.end = ex.Start, ex.UpstreamStart, ex.UpstreamFirst, ex.End
	r.bytesReceived, r.bytesSent = ex.BytesReceived, ex.BytesSent
	r.headerCount = min(len(req.Headers), maxHeaders)
	for i := range r.headerCount {
		h := &req.Headers[i]
		r.headers[i].name, r.headers[i].value = r.keep(h.Name, maxValue), r.keep(h.Value, maxValue)
	}
}

func (r *record) takeDecision(ex *proxy.Exchange) {
	r.virtualHost, r.route, r.cluster, r.rule = span{}, span{}, span{}, router.Origin{}
	if v := ex.Decision.VirtualHost; v != nil {
		r.virtualHost = r.keep(v.Name, maxText)
	}
	if route := ex.Decision.Route; route != nil {
		r.route, r.rule = r.keep(route.Name, maxText), route.Origin()
	}
	if d := ex.Destination; d != nil {
		r.cluster = r.keep(d.Cluster.Name, maxText)
	}
}

// takeStream makes the record that of a connection that carried bytes.
func (r *record) takeStream(st *proxy.Stream) {
	*r = record{text: r.text[:0]}
	c := st.Connection
	r.protocol = r.keep("TCP", maxText)
	r.listener, r.chain, r.inbound = r.keep(c.Listener, maxText), r.keep(c.Chain, maxText), c.Inbound
	if c.TLS != nil {
		r.serverName = r.keep(c.TLS.ServerName, maxText)
	}
	r.authority = r.keep(c.Local.String(), maxText)
	r.remote, r.client = c.Remote, c.Remote.Addr()
	r.flags, r.termination = st.Flags, r.keep(st.Termination, maxText)
	r.route, r.cluster = r.keep(st.Route, maxText), r.keep(st.Cluster, maxText)
	r.upstreamHost, r.upstreamFailure = r.keep(st.UpstreamHost, maxText), r.keep(st.UpstreamFailure, maxText)
	r.attempts = st.Attempts
	r.start, r.upstreamStart, r.end = st.Start, st.Connected, st.End
	r.bytesReceived, r.bytesSent = st.BytesReceived, st.BytesSent
}

// secret tells whether a header's value could let somebody in.
func secret(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-forwarded-client-cert":
		return true
	}
	return strings.HasSuffix(name, "-token") || strings.HasSuffix(name, "-secret") || strings.HasSuffix(name, "-password")
}

// secretParameters are those of a query whose values could let somebody in.
var secretParameters = []string{"access_token", "api_key", "apikey", "code", "id_token", "key", "password", "secret", "sig", "signature", "token"}

func secretParameter(name string) bool {
	return slices.Contains(secretParameters, strings.ToLower(name))
}

// wipe forgets the values of headers that could let somebody in. Explaining needs them.
func (r *record) wipe() {
	for i := range r.headerCount {
		if h := &r.headers[i]; secret(r.of(h.name)) {
			clear(r.text[h.value.from:h.value.to])
		}
	}
}

// withoutSecrets redacts the parameters of a query that could let somebody in: a path's, or that of
// a header that is a URL, such as referer.
func withoutSecrets(path string) string {
	before, query, ok := strings.Cut(path, "?")
	if !ok {
		return path
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok && secretParameter(name) {
			parts[i] = name + "=" + redacted
		}
	}
	return before + "?" + strings.Join(parts, "&")
}

// summary returns the record as it is told of.
func (r *record) summary() Summary {
	s := Summary{
		Sequence: r.sequence, ID: r.of(r.id), Time: proxy.Wall(r.start),
		Method: r.of(r.method), Scheme: r.of(r.scheme), Authority: r.of(r.authority), Path: withoutSecrets(r.of(r.path)), Protocol: r.of(r.protocol),
		Listener: r.of(r.listener), Chain: r.of(r.chain), Port: r.port, Inbound: r.inbound,
		Client: clientText(r.remote, r.client), ServerName: r.of(r.serverName),
		Status: r.status, GRPCStatus: r.of(r.grpcStatus), Details: r.of(r.details), Termination: r.of(r.termination),
		VirtualHost: r.of(r.virtualHost), Route: r.of(r.route), Rule: r.rule, Cluster: r.of(r.cluster),
		UpstreamHost: r.of(r.upstreamHost), UpstreamFailure: r.of(r.upstreamFailure), UpstreamStatus: r.upstreamStatus, Attempts: r.attempts,
		Duration:      milliseconds(time.Duration(max(r.end-r.start, 0))),
		BytesReceived: r.bytesReceived, BytesSent: r.bytesSent, Generation: r.generation,
	}
	if r.flags != 0 {
		s.Flags = r.flags.String()
	}
	if r.upstreamStart > 0 {
		until := r.end
		if r.upstreamFirst > 0 {
			until = r.upstreamFirst
		}
		s.UpstreamDuration = milliseconds(time.Duration(max(until-r.upstreamStart, 0)))
	}
	for i := range r.headerCount {
		h := Header{r.of(r.headers[i].name), withoutSecrets(r.of(r.headers[i].value))}
		if secret(h.Name) {
			h.Value = redacted
		}
		s.Headers = append(s.Headers, h)
	}
	return s
}

// clientText is the caller's address: the connection's, or the one that a trusted hop vouched
// for.
func clientText(remote netip.AddrPort, client netip.Addr) string {
	switch {
	case client.IsValid() && client.Unmap() != remote.Addr().Unmap():
		return client.String()
	case remote.IsValid():
		return remote.String()
	}
	return ""
}

// request returns what routing looked at.
func (r *record) request() *router.Request {
	req := &router.Request{
		Listener: r.of(r.listener), Chain: r.of(r.chain), Port: r.port,
		Method: r.of(r.method), Scheme: r.of(r.scheme), Authority: r.of(r.authority), Path: r.of(r.path),
	}
	for i := range r.headerCount {
		req.Headers = append(req.Headers, router.Header{Name: r.of(r.headers[i].name), Value: r.of(r.headers[i].value)})
	}
	return req
}
