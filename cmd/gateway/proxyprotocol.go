package main

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/role"
)

// parseProxyProtocol reads "10.0.0.0/8,fd00::/8", which holds for every port, and
// "443=10.0.0.0/8" for one.
func parseProxyProtocol(list []string) (role.ProxyProtocol, error) {
	trusted := make(role.ProxyProtocol)
	for _, s := range list {
		var port uint64
		networks := s
		if before, after, ok := strings.Cut(s, "="); ok {
			n, err := strconv.ParseUint(before, 10, 16)
			if err != nil || n == 0 {
				return nil, start.Misusef("--proxy-protocol %q: %q is not a port", s, before)
			}
			port, networks = n, after
		}
		for network := range strings.SplitSeq(networks, ",") {
			prefix, err := parseNetwork(network)
			if err != nil {
				return nil, start.Misusef("--proxy-protocol %q: %q is neither an IP address nor a network such as 10.0.0.0/8", s, network)
			}
			trusted[uint16(port)] = append(trusted[uint16(port)], prefix)
		}
	}
	return trusted, nil
}

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}
