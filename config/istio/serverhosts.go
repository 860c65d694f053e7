package istio

import (
	"net/netip"
	"slices"
	"strings"
)

// serverHosts are the hosts that a server takes, with the namespaces from which it
// takes VirtualServices for them.
type serverHosts struct {
	// written are the hosts with their namespaces, "ns/host", or plain where all
	// namespaces will do.
	written []string
	// namespaces are, for each host, those from which VirtualServices are taken; ""
	// stands for all.
	namespaces map[string][]string
}

func newServerHosts(hosts []string, namespace string) *serverHosts {
	s := &serverHosts{namespaces: map[string][]string{}}
	for _, h := range hosts {
		h = strings.ToLower(h)
		ns, host, ok := strings.Cut(h, "/")
		switch {
		case !ok:
			ns, host = "", h
		case ns == ".":
			ns = namespace
		case ns == "*" && host == "*":
			// It takes everything, and so stands for all the server's hosts.
			return &serverHosts{written: []string{"*"}, namespaces: map[string][]string{"*": {""}}}
		case ns == "*":
			ns = ""
		}
		if ns == "" {
			s.written = append(s.written, host)
		} else {
			s.written = append(s.written, ns+"/"+host)
		}
		s.namespaces[host] = append(s.namespaces[host], ns)
	}
	return s
}

// names are the hosts without their namespaces, each once.
func (s *serverHosts) names() []string {
	names := distinct{list: make([]string, 0, len(s.written))}
	for _, h := range s.written {
		if _, host, ok := strings.Cut(h, "/"); ok {
			h = host
		}
		names.add(h)
	}
	return names.list
}

// intersect returns the hosts that are both the server's and among those of a
// VirtualService of a namespace: of two that overlap, the narrower.
func (s *serverHosts) intersect(hosts []string, namespace string) []string {
	var out distinct
	takes := func(namespaces []string) bool { return takesFrom(namespaces, namespace) }
	for _, h := range hosts {
		if _, ok := mostSpecific(s.namespaces, h, takes); ok {
			out.add(h)
		}
	}
	for narrower, namespaces := range eachCovered(hosts, s.namespaces) {
		if takes(namespaces) {
			out.add(narrower)
		}
	}
	return out.list
}

func takesFrom(namespaces []string, namespace string) bool {
	return slices.Contains(namespaces, "") || slices.Contains(namespaces, namespace)
}

// issuable are the hosts that an authority can prove over the network: exact names.
func (s *serverHosts) issuable() []string {
	return slices.DeleteFunc(s.names(), func(h string) bool {
		_, err := netip.ParseAddr(h)
		return isWildcard(h) || err == nil
	})
}
