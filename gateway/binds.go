package gateway

import (
	"fmt"
	"net/netip"
	"slices"
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
	b := binder{options: o, owner: make(map[string]string)}
	for _, l := range list {
		if strings.HasPrefix(l.Address, "unix://") {
			b.add(l, l.Address, 0, 0)
			continue
		}
		ip, err := o.address(l)
		if err != nil {
			b.conditions = append(b.conditions, condition(l, AddressInvalid, err.Error()))
			continue
		}
		port := o.port(l)
		b.add(l, netip.AddrPortFrom(ip, port).String(), l.Port, o.advertised(l, port))
		if o.NodePorts {
			for _, port := range l.NodePorts {
				b.add(l, netip.AddrPortFrom(ip, o.mapped(port)).String(), port, port)
			}
		}
	}
	return b.binds, b.conditions
}

// binder gathers sockets.
type binder struct {
	options    Options
	binds      []role.Bind
	conditions []config.Condition
	// owner has the listener of each address.
	owner map[string]string
}

// add asks for a listener's socket at an address, which clients reach by the port public
// where they speak HTTP/3.
func (b *binder) add(l *router.Listener, address string, asked, public uint16) {
	if first, taken := b.owner[address]; taken {
		if first != l.Name { // Its own port may be mapped to its node port.
			b.conditions = append(b.conditions, condition(l, AddressTaken,
				fmt.Sprintf("%s is listener %s's already; give one of them another port with --port-map", address, first)))
		}
		return
	}
	if !strings.HasSuffix(address, ":0") {
		b.owner[address] = l.Name
	}
	bind := role.Bind{Listener: l.Name, Address: address, Port: asked, ProxyPort: b.options.proxyPort(l, asked), Instead: instead(asked)}
	if !b.options.HTTP3 || public == 0 || !servesHTTPS(l) {
		b.binds = append(b.binds, bind)
		return
	}
	bind.AltSvc = public
	b.binds = append(b.binds, bind)
	bind.Datagrams = true
	b.binds = append(b.binds, bind)
}

// servesHTTPS tells whether requests come inside TLS at a listener.
func servesHTTPS(l *router.Listener) bool {
	return slices.ContainsFunc(l.Chains, func(c *router.Chain) bool { return c.TLS != nil && c.Table != nil })
}

// advertised is the port by which clients reach a listener that is bound to a port: that of
// the Service in front of the gateway, or of the Gateway; where an operator has moved it, the
// one that it was moved to.
func (o Options) advertised(l *router.Listener, bound uint16) uint16 {
	if bound != l.Port {
		return bound
	}
	for _, called := range l.CalledPorts() {
		return called
	}
	return bound
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

// proxyPort is the port by which the PROXY protocol is asked for at a listener's socket: the
// socket's, the listener's own, or one that a Gateway calls it by. 0 means as at every port.
func (o Options) proxyPort(l *router.Listener, asked uint16) uint16 {
	if len(o.ProxyProtocol) == 0 {
		return 0
	}
	for _, port := range append([]uint16{asked, l.Port}, l.CalledPorts()...) {
		if _, ok := o.ProxyProtocol[port]; ok {
			return port
		}
	}
	return 0
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
