package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// listenerFor finds the listener that takes calls to a port, and the port that
// routing is to see. A Gateway's port may be another than the socket's, where a
// Service translates it, so ports that callers know go first.
func (s proxyState) listenerFor(port uint16) (*router.Listener, uint16) {
	if s.sidecar {
		// One socket takes all outbound traffic.
		for _, l := range s.spec.Listeners {
			return l, port
		}
		return nil, 0
	}
	for _, l := range s.spec.Listeners {
		if slices.Contains(l.CalledPorts(), port) {
			return l, port
		}
	}
	for _, l := range s.spec.Listeners {
		if l.Port == port || slices.Contains(l.NodePorts, port) {
			return l, 0
		}
	}
	return nil, 0
}

// listenerHint says which ports are served.
func (s proxyState) listenerHint() string {
	var ports []string
	for _, l := range s.spec.Listeners {
		for _, n := range append(slices.Clone(l.NodePorts), l.CalledPorts()...) {
			if text := portText(n); n != 0 && !slices.Contains(ports, text) {
				ports = append(ports, text)
			}
		}
	}
	if len(ports) == 0 {
		return "nothing is served: no Gateway selects this proxy's labels, or none has a server that can be served (see --labels and sluice validate)"
	}
	return "these ports are served: " + strings.Join(ports, ", ") + "; choose one with --port, or add a server to a Gateway"
}

// connectionHint says what would make a connection that nothing takes be taken.
func connectionHint(c *call, why *router.ConnectionExplanation) string {
	known := ""
	if len(why.KnownServerNames) > 0 {
		known = " (known: " + strings.Join(why.KnownServerNames, ", ") + ")"
	}
	switch {
	case why.Outcome == router.ConnectionNoStream:
		return "no route of this server takes the address that is called: add one without destinationSubnets, or widen those"
	case c.Scheme == "http":
		return "the port speaks TLS: ask for https://" + c.Authority + c.Path
	case why.Plaintext:
		return "the port speaks TLS: ask for tls://NAME:" + portText(c.Port)
	case why.ServerName == "" && c.address.IsValid():
		return "clients send no server name where they call an address; give the one that would be sent with --sni" + known
	case why.ServerName == "":
		return "the client must send a server name" + known + "; only a server for \"*\" takes those that send none"
	}
	return fmt.Sprintf("no server takes the name %q%s. Add it to the hosts of a Gateway's server, or send another with --sni", why.ServerName, known)
}
