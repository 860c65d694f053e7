package istio

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sluicegate/sluice/config"
)

// everyAddress is a bind for IPv4 and IPv6.
const everyAddress = "::"

// socketOf returns the socket of a port and a bind, and the bind in one spelling.
func socketOf(port uint16, bind string) (key tableKey, spelled string) {
	ip, err := netip.ParseAddr(bind)
	if err != nil { // none, or a path
		return tableKey{port, bind}, bind
	}
	ip = ip.Unmap()
	if ip.IsUnspecified() {
		return tableKey{port: port}, ip.String()
	}
	return tableKey{port, ip.String()}, ip.String()
}

// widen puts the socket where one more server wants it too. Those without a bind are where the
// operator says, whoever shares their port; :: takes IPv4 as well.
func (m *mergedServers) widen(bind string) {
	if bind == "" || bind == everyAddress && m.bind != "" {
		m.bind = bind
	}
}

// judgeBinds says which servers ask for IPv6 on a socket that may be without.
func (m *gatewayMerge) judgeBinds(merged *mergedServers) {
	if merged.bind != "" {
		return
	}
	at := slices.IndexFunc(merged.servers, func(s *gatewayServer) bool { return s.spec.Bind == "" })
	for _, s := range merged.servers {
		if _, bind := socketOf(0, s.spec.Bind); bind == everyAddress {
			other := merged.servers[at]
			m.fail(config.Warning, ServerConflict, s.gateway, s.field+".bind",
				fmt.Sprintf("%q on port %d: %s %s has the port without a bind, so both are at the gateway's own address, which may have no IPv6. Write the bind there too, or take it out here and start the gateway with --address ::",
					s.spec.Bind, merged.key.port, other.gateway.object.Key, other.field))
		}
	}
}
