package router

import (
	"fmt"
	"strconv"
	"strings"
)

// checkRedirect says what is wrong with a Redirect.
func checkRedirect(r *Redirect) error {
	switch r.Status {
	case 301, 302, 303, 307, 308:
	default:
		return fmt.Errorf("redirect: status %d is none of 301, 302, 303, 307, 308", r.Status)
	}
	if r.HasPrefix && r.Path != "" {
		return fmt.Errorf("redirect: path and prefix rewrite are both set; keep one")
	}
	return checkTarget("redirect", r.Scheme, r.Host, r.Path, r.PrefixRewrite)
}

// AppendLocation appends the Location of a [Redirected] or [TLSRedirect] decision,
// and nothing for any other. It is built as Envoy builds it (RedirectAction).
func (d *Decision) AppendLocation(dst []byte, r *Request) []byte {
	switch d.Outcome {
	case TLSRedirect:
		dst = append(dst, "https://"...)
		dst = append(dst, hostWithoutPort(r.Authority)...)
		return append(dst, r.Path...)
	case Redirected:
		dst = d.appendOrigin(dst, r)
		return d.appendRedirectPath(dst, r)
	}
	return dst
}

// appendOrigin appends scheme, host and port of a redirect.
func (d *Decision) appendOrigin(dst []byte, r *Request) []byte {
	redirect := d.Route.Redirect
	scheme := redirect.Scheme
	if scheme == "" {
		scheme = r.Scheme
	}
	port := redirect.Port
	if redirect.PortFromRequest {
		port = d.requestPort(r)
	}
	dst = append(dst, scheme...)
	dst = append(dst, "://"...)
	host, hostPort := redirect.Host, ""
	if host == "" {
		host = hostWithoutPort(r.Authority)
		hostPort = r.Authority[len(host):]
	}
	dst = append(dst, host...)
	switch {
	case port != 0 && port == defaultPort(scheme):
	case port != 0:
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	case scheme != r.Scheme && hostPort == ":"+strconv.Itoa(int(defaultPort(r.Scheme))):
		// The default port of the old scheme says nothing about the new one.
	default:
		dst = append(dst, hostPort...)
	}
	return dst
}

// requestPort returns the port that the request was sent to, as callers know it.
func (d *Decision) requestPort(r *Request) uint16 {
	switch {
	case r.Port != 0:
		return r.Port
	case d.Table.Port != 0:
		return d.Table.Port
	}
	return d.Listener.Port
}

// appendRedirectPath appends path and query of a redirect. A path that brings its
// own query replaces that of the request.
func (d *Decision) appendRedirectPath(dst []byte, r *Request) []byte {
	redirect := d.Route.Redirect
	path := pathOf(r.Path)
	query := r.Path[len(path):]
	switch {
	case redirect.Path != "":
		dst = append(dst, redirect.Path...)
		if strings.Contains(redirect.Path, "?") {
			return dst
		}
	case redirect.HasPrefix:
		rewrite := pathRewrite{text: redirect.PrefixRewrite}
		dst = rewrite.append(dst, path, d.Route.match.taken(path))
	default:
		dst = append(dst, path...)
	}
	return append(dst, query...)
}

// hostWithoutPort cuts the port off an authority, and leaves case and dots alone.
func hostWithoutPort(authority string) string {
	end := strings.LastIndexByte(authority, ':')
	if end < 0 || strings.HasPrefix(authority, "[") && end < strings.IndexByte(authority, ']') {
		return authority
	}
	return authority[:end]
}

// defaultPort returns the port that a scheme's URLs leave out (RFC 9110 section 4.2).
func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}
