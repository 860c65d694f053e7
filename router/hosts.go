package router

import (
	"fmt"
	"maps"
	"strings"
)

// maxHost is the longest host, in bytes, that is looked up: RFC 1035 section 2.3.4
// ends names at 255.
const maxHost = 255

// hostOf cuts the port and a trailing dot off an authority. It does not look at case.
func hostOf(authority string) string {
	if strings.HasPrefix(authority, "[") {
		return authority[:strings.IndexByte(authority, ']')+1]
	}
	host := authority
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
	if strings.Contains(host, ":") && host[0] != '[' {
		return "[" + host + "]"
	}
	return host
}

// claimant is what hosts lead to: a virtual host, or a chain. It is a pointer.
type claimant interface {
	comparable
	// claims are the domains that it takes hosts by.
	claims() []string
}

// hostIndex finds what a host leads to. It never changes.
type hostIndex[C claimant] struct {
	exact cowMap[C]
	// wildcards are keyed by what follows the star: ".example.com".
	wildcards cowMap[C]
	// suffixes has a bit for every length that a wildcard's key has, or had.
	suffixes [maxHost/64 + 1]uint64
	// any is the claimant of "*".
	any C
	// contested are the domains that several claim.
	contested map[domain]bool
}

// lookup returns the claimant for an authority as it was sent, or nil.
func (h *hostIndex[C]) lookup(authority string) C {
	var buffer [maxHost]byte
	host := hostOf(authority)
	if len(host) > maxHost {
		return h.any
	}
	name := buffer[:len(host)]
	for i := range name {
		name[i] = lowerByte(host[i])
	}
	if v, ok := h.exact.get(name); ok {
		return v
	}
	if h.wildcards.size > 0 {
		for i := 1; i < len(name); i++ {
			if name[i] != '.' || !h.hasSuffixOf(len(name)-i) {
				continue
			}
			if v, ok := h.wildcards.get(name[i:]); ok {
				return v
			}
		}
	}
	return h.any
}

// hasSuffixOf says whether a wildcard of that length may be there.
func (h *hostIndex[C]) hasSuffixOf(length int) bool {
	return h.suffixes[length/64]&(1<<(length%64)) != 0
}

// indexHosts indexes claimants from the first: of two that claim a domain, it has it.
func indexHosts[C claimant](hosts []C) *hostIndex[C] {
	e := (&hostIndex[C]{}).edit(len(hosts))
	for _, v := range hosts {
		e.add(v)
	}
	return e.done()
}

// replaced returns the index after some claimants went and others came. It is nil
// where their order decides who has a domain: then all must be indexed again.
func (h *hostIndex[C]) replaced(removed, added []C) *hostIndex[C] {
	e := h.edit(len(added) - len(removed))
	for _, v := range removed {
		e.remove(v)
	}
	for _, v := range added {
		e.add(v)
	}
	if e.disputed {
		return nil
	}
	return e.done()
}

// hostEdit is a hostIndex that is being changed.
type hostEdit[C claimant] struct {
	index            hostIndex[C]
	exact, wildcards *cowEdit[C]
	// disputed: a domain was touched that several claim.
	disputed bool
}

func (h *hostIndex[C]) edit(growth int) *hostEdit[C] {
	e := &hostEdit[C]{index: *h, exact: h.exact.edit(growth), wildcards: h.wildcards.edit(0)}
	e.index.contested = maps.Clone(h.contested)
	return e
}

func (e *hostEdit[C]) done() *hostIndex[C] {
	e.index.exact, e.index.wildcards = e.exact.cowMap, e.wildcards.cowMap
	return &e.index
}

// add gives a claimant those of its domains that are free.
func (e *hostEdit[C]) add(v C) {
	var none C
	for _, name := range v.claims() {
		d, err := parseDomain(name)
		if err != nil {
			continue
		}
		switch owner := e.owner(d); owner {
		case none:
			e.set(d, v)
		case v:
		default:
			e.contest(d)
		}
	}
}

// remove frees the domains of a claimant.
func (e *hostEdit[C]) remove(v C) {
	for _, name := range v.claims() {
		d, err := parseDomain(name)
		if err != nil {
			continue
		}
		if e.index.contested[d] {
			e.disputed = true
		}
		if e.owner(d) == v {
			e.clear(d)
		}
	}
}

// contest notes that several claim a domain.
func (e *hostEdit[C]) contest(d domain) {
	e.disputed = true
	if e.index.contested == nil {
		e.index.contested = map[domain]bool{}
	}
	e.index.contested[d] = true
}

func (e *hostEdit[C]) owner(d domain) C {
	switch {
	case d == anyHost:
		return e.index.any
	case d.wildcard:
		v, _ := e.wildcards.lookup(d.name)
		return v
	}
	v, _ := e.exact.lookup(d.name)
	return v
}

func (e *hostEdit[C]) set(d domain, v C) {
	switch {
	case d == anyHost:
		e.index.any = v
	case d.wildcard:
		e.wildcards.set(d.name, v)
		e.index.suffixes[len(d.name)/64] |= 1 << (len(d.name) % 64)
	default:
		e.exact.set(d.name, v)
	}
}

func (e *hostEdit[C]) clear(d domain) {
	switch {
	case d == anyHost:
		var none C
		e.index.any = none
	case d.wildcard:
		e.wildcards.delete(d.name)
	default:
		e.exact.delete(d.name)
	}
}

// domain is a virtual host's domain, normalised and taken apart.
type domain struct {
	// name is a host, or what follows the star.
	name     string
	wildcard bool
}

// anyHost is the domain "*".
var anyHost = domain{wildcard: true}

// String returns the domain as it is written.
func (d domain) String() string {
	if d.wildcard {
		return "*" + d.name
	}
	return d.name
}

// parseDomain checks and normalises a virtual host's domain.
func parseDomain(s string) (domain, error) {
	host := NormalizeHost(s)
	d := domain{name: host}
	if after, ok := strings.CutPrefix(host, "*"); ok && (after == "" || len(after) > 1 && after[0] == '.') {
		d = domain{name: after, wildcard: true}
	}
	switch {
	case host == "":
		return domain{}, fmt.Errorf("domain %q names no host", s)
	case len(host) > maxHost:
		return domain{}, fmt.Errorf("domain %.40q... is longer than %d bytes", s, maxHost)
	case d != anyHost && strings.Contains("."+strings.TrimPrefix(host, "*.")+".", ".."):
		return domain{}, fmt.Errorf("domain %q has an empty label", s)
	case strings.Contains(d.name, "*"):
		return domain{}, fmt.Errorf("domain %q: a star may only stand alone, or for the first labels, as in *.example.com", s)
	}
	return d, nil
}

// takes tells whether a normalised host is the domain, or under it.
func (d domain) takes(host string) bool {
	if d.wildcard {
		return len(host) > len(d.name) && strings.HasSuffix(host, d.name) || d == anyHost
	}
	return d.name == host
}
