package gateway

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
)

const (
	// AddressTaken: two listeners ask for the same socket.
	AddressTaken config.Reason = "AddressTaken"
	// AddressInvalid: a listener's address is none.
	AddressInvalid config.Reason = "AddressInvalid"
)

// binds returns the sockets of the listeners, and a condition for each that cannot be
// had because another listener has it.
func (o Options) binds(list []*router.Listener) ([]role.Bind, []config.Condition) {
	var binds []role.Bind
	var conditions []config.Condition
	owner := make(map[string]string)
	add := func(l *router.Listener, address string, asked uint16) {
		if first, taken := owner[address]; taken && first != l.Name {
			conditions = append(conditions, condition(l, AddressTaken,
				fmt.Sprintf("%s is listener %s's already; give one of them another port with --port-map", address, first)))
			return
		}
		if !strings.HasSuffix(address, ":0") {
			owner[address] = l.Name
		}
		binds = append(binds, role.Bind{Listener: l.Name, Address: address, Port: asked, Instead: instead(asked)})
	}
	for _, l := range list {
		if strings.HasPrefix(l.Address, "unix://") {
			add(l, l.Address, 0)
			continue
		}
		ip, err := o.address(l)
		if err != nil {
			conditions = append(conditions, condition(l, AddressInvalid, err.Error()))
			continue
		}
		add(l, netip.AddrPortFrom(ip, o.port(l)).String(), l.Port)
		if o.NodePorts {
			for _, port := range l.NodePorts {
				add(l, netip.AddrPortFrom(ip, o.mapped(port)).String(), port)
			}
		}
	}
	return binds, conditions
}

// address returns the IP address of a listener.
func (o Options) address(l *router.Listener) (netip.Addr, error) {
	if l.Address == "" {
		return o.Address, nil
	}
	ip, err := netip.ParseAddr(l.Address)
	if err != nil {
		return ip, fmt.Errorf("bind address %q is neither an IP address nor unix:///path", l.Address)
	}
	return ip, nil
}

// port returns where a listener's own port is served: as the map says of the port that
// it would have, or else of the port that a Gateway calls it by. (Where a Service stands
// in front of the gateway, the first is the Service's target port.)
func (o Options) port(l *router.Listener) uint16 {
	if _, ok := o.PortMap[l.Port]; !ok {
		for _, called := range l.CalledPorts() {
			if to, ok := o.PortMap[called]; ok {
				return to
			}
		}
	}
	return o.mapped(l.Port)
}

func (o Options) mapped(port uint16) uint16 {
	if to, ok := o.PortMap[port]; ok {
		return to
	}
	return port
}

// instead is the flag that moves a port to a place where anybody may listen.
func instead(port uint16) string {
	if port == 0 {
		return ""
	}
	to := int(port) + 8000
	if port == 443 {
		to = 8443
	}
	if to > 65535 {
		to = int(port) - 8000
	}
	return "--port-map " + strconv.Itoa(int(port)) + "=" + strconv.Itoa(to)
}

func condition(l *router.Listener, reason config.Reason, message string) config.Condition {
	return config.Condition{
		Severity: config.Error,
		Reason:   reason,
		Object:   config.Key{Kind: "Listener", Name: l.Name},
		Message:  message,
	}
}
