package router

import (
	"fmt"
	"strings"
)

// maxHost is the longest host, in bytes, that is looked up: RFC 1035 ends names at
// 255, and RFC 6874 keeps address literals far below.
const maxHost = 255

// hostOf cuts the port and a trailing dot off an authority. It does not look at case.
func hostOf(authority string) string {
	host := authority
	if strings.HasPrefix(host, "[") {
		if end := strings.IndexByte(host, ']'); end >= 0 {
			return host[:end+1]
		}
		return host
	}
	if colon := strings.IndexByte(host, ':'); colon >= 0 && strings.LastIndexByte(host, ':') == colon {
		host = host[:colon]
	}
	return strings.TrimSuffix(host, ".")
}

// NormalizeHost returns the identity of a host, by which virtual hosts are found:
// lower case, without port and trailing dot, IPv6 addresses in brackets. It takes an
// authority as well as a virtual host's domain, and expects international names as
// A-labels (RFC 5890).
func NormalizeHost(authority string) string {
	host := lowerASCII(hostOf(authority))
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// hostIndex finds the virtual host for an authority.
type hostIndex struct {
	exact map[string]*CompiledVirtualHost
	// wildcards are keyed by what follows the star: ".example.com".
	wildcards map[string]*CompiledVirtualHost
	// any is the virtual host of "*".
	any *CompiledVirtualHost
}

// lookup returns the virtual host for an authority as it was sent, or nil.
func (h *hostIndex) lookup(authority string) *CompiledVirtualHost {
	var buffer [maxHost]byte
	host := hostOf(authority)
	if len(host) > maxHost {
		return h.any
	}
	name := buffer[:len(host)]
	for i := range name {
		name[i] = lowerByte(host[i])
	}
	if v := h.exact[string(name)]; v != nil {
		return v
	}
	if len(h.wildcards) > 0 {
		for i := 1; i < len(name); i++ {
			if name[i] == '.' {
				if v := h.wildcards[string(name[i:])]; v != nil {
					return v
				}
			}
		}
	}
	return h.any
}

// domain is a virtual host's domain, taken apart.
type domain struct {
	// name is a host, or what follows the star.
	name     string
	wildcard bool
}

// parseDomain checks and normalises a virtual host's domain.
func parseDomain(s string) (domain, error) {
	host := NormalizeHost(s)
	switch {
	case host == "*":
		return domain{wildcard: true}, nil
	case host == "":
		return domain{}, fmt.Errorf("domain %q names no host", s)
	case len(host) > maxHost:
		return domain{}, fmt.Errorf("domain %.40q... is longer than %d bytes", s, maxHost)
	}
	d := domain{name: host}
	if strings.HasPrefix(host, "*.") && len(host) > 2 {
		d = domain{name: host[1:], wildcard: true}
	}
	if strings.Contains(d.name, "*") {
		return domain{}, fmt.Errorf("domain %q: a star may only stand alone, or for the first labels, as in *.example.com", s)
	}
	return d, nil
}
