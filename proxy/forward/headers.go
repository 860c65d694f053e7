package forward

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// identify settles who is calling and by what scheme, and cleans the request of headers
// that only a trusted proxy may set. It comes before routing, which must not see these.
//
// At an edge that trusts nobody, the client's address is that of its connection, and
// every forwarding header is dropped. With trusted hops, the forwarding headers are
// believed, but for x-envoy-*, as far as those hops wrote them: the last TrustedHops entries of
// x-forwarded-for are kept, and the client is the first of these.
func (e *Engine) identify(ex *proxy.Exchange) {
	r := &ex.Request
	if e.options.Mesh {
		e.identifyInMesh(ex)
		return
	}
	hops := e.options.TrustedHops
	kept := r.Headers[:0]
	forwardedFor := 0
	for _, h := range r.Headers {
		switch identityOf(h.Name) {
		case plainHeader:
			kept = append(kept, h)
		case requestIDHeader:
			if ex.RequestID == "" && len(h.Value) <= maxRequestID && h.Value != "" {
				ex.RequestID = h.Value
				kept = append(kept, h)
			}
		case forwardedForHeader:
			if hops > 0 {
				forwardedFor++
				kept = append(kept, h)
			}
		case forwardedProtoHeader:
			if hops > 0 && (h.Value == "http" || h.Value == "https") {
				r.Scheme = h.Value
			}
		case claimHeader:
			if hops > 0 {
				kept = append(kept, h)
			}
		}
	}
	r.Headers = kept
	if forwardedFor > 0 {
		e.trustForwardedFor(ex, hops)
	}
}

// maxRequestID bounds a caller's x-request-id; a longer one is replaced.
const maxRequestID = 128

// identityKind is what a header says about the caller.
type identityKind uint8

const (
	plainHeader identityKind = iota
	requestIDHeader
	forwardedForHeader
	forwardedProtoHeader
	// claimHeader is any other header by which proxies tell about a caller.
	claimHeader
	// aliasHeader is another spelling of one of them ("x.forwarded.for"): no proxy writes
	// those, and most let a client's pass.
	aliasHeader
	// envoyHeader is one of Envoy's own ("x-envoy-..."): no proxy in front makes those for
	// us, and most let a client's pass.
	envoyHeader
)

// identityOf classifies a header. Names that differ from a forwarding header only in
// punctuation are taken for it, since many servers do so too.
func identityOf(name string) identityKind {
	if name[0] != 'x' && name[0] != 'f' {
		return plainHeader
	}
	if name == "forwarded" {
		return claimHeader
	}
	if len(name) < 8 || name[0] != 'x' {
		return plainHeader
	}
	if strings.IndexByte(name, '_') >= 0 || strings.IndexByte(name, '.') >= 0 {
		if name = strings.NewReplacer("_", "-", ".", "-").Replace(name); identityOf(name) == plainHeader {
			return plainHeader
		}
		return aliasHeader
	}
	switch {
	case name == "x-request-id":
		return requestIDHeader
	case name == "x-forwarded-for":
		return forwardedForHeader
	case name == "x-forwarded-proto":
		return forwardedProtoHeader
	case strings.HasPrefix(name, "x-envoy-"):
		return envoyHeader
	case strings.HasPrefix(name, "x-forwarded"),
		strings.HasPrefix(name, "x-original-"), strings.HasPrefix(name, "x-rewrite-"),
		name == "x-real-ip", name == "x-client-ip", name == "x-cluster-client-ip":
		return claimHeader
	}
	return plainHeader
}

// trustForwardedFor reduces the x-forwarded-for headers to one with the last hops entries,
// and takes the first of these for the client. Where there are fewer, not all hops were
// passed, and the client is the connection's peer.
func (e *Engine) trustForwardedFor(ex *proxy.Exchange, hops int) {
	at := len(ex.Scratch)
	kept := ex.Request.Headers[:0]
	for _, h := range ex.Request.Headers {
		if h.Name != "x-forwarded-for" {
			kept = append(kept, h)
			continue
		}
		if len(ex.Scratch) > at {
			ex.Scratch = append(ex.Scratch, ", "...)
		}
		ex.Scratch = append(ex.Scratch, h.Value...)
	}
	all := ex.KeptFrom(at)
	cut, entries := len(all), 0
	for ; entries < hops && cut >= 0; entries++ {
		cut = strings.LastIndexByte(all[:cut], ',')
	}
	trusted := strings.TrimLeft(all[cut+1:], " \t")
	first, _, _ := strings.Cut(trusted, ",")
	if addr, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil && entries == hops {
		ex.Client = addr.Unmap()
	}
	ex.Request.Headers = append(kept, router.Header{Name: "x-forwarded-for", Value: trusted})
}

// prepare settles what the upstream is asked: path, authority, and headers, those of the
// proxy itself last, so that no caller's word can stand in their place. It tells false where
// a rewrite made a path with dot segments ("/a../b" behind the prefix "/a"), which would lead
// out of where the rewrite leads to.
func (e *Engine) prepare(ex *proxy.Exchange) bool {
	r, d := &ex.Request, &ex.Decision
	ex.UpstreamAuthority = d.Authority(ex.Destination, r)
	ex.UpstreamPath = r.Path
	if d.RewritesPath() {
		at := len(ex.Scratch)
		ex.Scratch = d.AppendPath(ex.Scratch, r)
		if ex.UpstreamPath = ex.KeptFrom(at); !http1.NormalPath(ex.UpstreamPath) {
			return false
		}
	}
	if e.options.Mesh || e.options.TrustedHops > 0 {
		setHeader(&r.Headers, "x-envoy-attempt-count", "1")
	} else {
		r.Headers = append(r.Headers, router.Header{Name: "x-envoy-attempt-count", Value: "1"})
	}
	if len(ex.UpstreamPath) != len(r.Path) || ex.UpstreamPath != r.Path {
		setHeader(&r.Headers, "x-envoy-original-path", r.Path)
	}
	if ops := ex.Destination.RequestOps; len(ops) > 0 {
		r.Headers = applyOps(ex, r.Headers, ops)
	}
	return true
}

// addForwarding adds the headers that tell about the caller. It comes before routing, which may go by
// them, as in Envoy.
func (e *Engine) addForwarding(ex *proxy.Exchange) {
	r := &ex.Request
	if !e.options.Mesh {
		e.addForwardedFor(ex)
		r.Headers = append(r.Headers, router.Header{Name: "x-forwarded-proto", Value: r.Scheme})
	} else if _, ok := r.Header("x-forwarded-proto"); !ok {
		r.Headers = append(r.Headers, router.Header{Name: "x-forwarded-proto", Value: r.Scheme})
	}
	e.addClientCertificate(ex)
}

// addForwardedFor appends the peer's address to x-forwarded-for.
func (e *Engine) addForwardedFor(ex *proxy.Exchange) {
	peer := ex.Remote.Addr()
	if !peer.IsValid() {
		return
	}
	at := len(ex.Scratch)
	headers := ex.Request.Headers
	if e.options.TrustedHops > 0 {
		for i := range headers {
			if headers[i].Name == "x-forwarded-for" {
				ex.Scratch = append(ex.Scratch, headers[i].Value...)
				ex.Scratch = append(ex.Scratch, ',')
				ex.Scratch = peer.AppendTo(ex.Scratch)
				headers[i].Value = ex.KeptFrom(at)
				return
			}
		}
	}
	ex.Scratch = peer.AppendTo(ex.Scratch)
	ex.Request.Headers = append(headers, router.Header{Name: "x-forwarded-for", Value: ex.KeptFrom(at)})
}

// setRequestID gives a request an id that has none.
func (e *Engine) setRequestID(ex *proxy.Exchange) {
	if ex.RequestID == "" {
		ex.RequestID = e.newRequestID(ex)
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: "x-request-id", Value: ex.RequestID})
	}
}

// newRequestID makes a random UUID (RFC 9562 section 5.4).
func (e *Engine) newRequestID(ex *proxy.Exchange) string {
	hi, lo := e.options.Random(), e.options.Random()
	hi = hi&^(0xf<<52) | 0x4<<52
	lo = lo&^(0x3<<6) | 0x2<<6
	at := len(ex.Scratch)
	ex.Scratch = append(ex.Scratch, "00000000-0000-0000-0000-000000000000"...)
	id := ex.Scratch[at : at+36 : at+36]
	putHex(id[0:8], hi)
	putHex(id[9:13], hi>>32)
	putHex(id[14:18], hi>>48)
	putHex(id[19:23], lo)
	putHex(id[24:36], lo>>16)
	return ex.KeptFrom(at)
}

// putHex fills dst with hexadecimal digits of n, its lowest byte first.
func putHex(dst []byte, n uint64) {
	for ; len(dst) >= 2; dst = dst[2:] {
		pair := hexPairs[byte(n)]
		dst[0], dst[1] = pair[0], pair[1]
		n >>= 8
	}
}

// hexPairs are the digits of each byte.
var hexPairs = func() (pairs [256][2]byte) {
	for b := range pairs {
		hex.Encode(pairs[b][:], []byte{byte(b)})
	}
	return pairs
}()

// decorate makes the proxy's and the policies' changes to an upstream's response.
func (e *Engine) decorate(ex *proxy.Exchange, r *proxy.Response) {
	ex.UpstreamFirst = proxy.Now()
	ex.ResponseServiceTime = (ex.UpstreamFirst - ex.UpstreamStart) / 1e6
	at := len(ex.Scratch)
	ex.Scratch = strconv.AppendInt(ex.Scratch, ex.ResponseServiceTime, 10)
	setHeader(&r.Headers, "x-envoy-upstream-service-time", ex.KeptFrom(at))
	if ops := ex.Destination.ResponseOps; len(ops) > 0 {
		r.Headers = applyOps(ex, r.Headers, ops)
	}
	filter.CORSResponse(ex, ex.Decision.Route, r)
	addConnectionHeaders(ex, r)
	ex.Details = "via_upstream"
}

// setHeader puts one value in the place of all of that name.
func setHeader(headers *[]router.Header, name, value string) {
	*headers = append(removeHeader(*headers, name), router.Header{Name: name, Value: value})
}

func removeHeader(headers []router.Header, name string) []router.Header {
	for i := range headers {
		if headers[i].Name != name {
			continue
		}
		kept := headers[:i]
		for _, h := range headers[i+1:] {
			if h.Name != name {
				kept = append(kept, h)
			}
		}
		return kept
	}
	return headers
}

// applyOps makes a policy's changes, in order. A header whose operators have no value is not
// made, as in Envoy. Unlike there, one that was to be set is then none: what a client said of
// itself must not stand for what the policy meant to say.
func applyOps(ex *proxy.Exchange, headers []router.Header, ops []router.HeaderOp) []router.Header {
	for i := range ops {
		op := &ops[i]
		value, made := "", false
		if op.Kind != router.RemoveHeader {
			value, made = evaluate(ex, &op.Value) // which may tell of the header itself
		}
		if op.Kind != router.AddHeader {
			headers = removeHeader(headers, op.Name)
		}
		if made {
			headers = append(headers, router.Header{Name: op.Name, Value: value})
		}
	}
	return headers
}
