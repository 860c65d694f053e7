package dns

import (
	"net/netip"
	"slices"
	"strings"
)

// hosts are the names of a hosts file, in lower case.
type hosts map[string][]netip.Addr

func parseHosts(text string) hosts {
	h := hosts{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		ip, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, name := range f[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if !slices.Contains(h[name], ip) {
				h[name] = append(h[name], ip)
			}
		}
	}
	return h
}

// lookup returns the addresses of a name, IPv4 ones first. That of localhost is no matter of
// the network (RFC 6761 section 6.3).
func (h hosts) lookup(name string) []netip.Addr {
	name = strings.TrimSuffix(name, ".")
	addrs := slices.Clone(h[name])
	if len(addrs) == 0 && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
		return a.BitLen() - b.BitLen()
	})
	return addrs
}
