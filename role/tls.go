package role

import (
	ctls "crypto/tls"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/tls"
)

// TLS says where TLS material comes from, beside the configuration, and what responses tell
// of it.
type TLS struct {
	// MeshDir has the workload's own certificate, as Istio's agent writes it:
	// cert-chain.pem, key.pem and root-cert.pem.
	MeshDir string
	// TicketKeys is a file of keys for session tickets, which replicas share: see
	// tls.ParseTicketKeys. Without it they are made and rotated here.
	TicketKeys string
	// HSTS is added to responses inside TLS as strict-transport-security; empty for none.
	HSTS string
	// Issuer has certificates issued; nil for none.
	Issuer Issuer
}

// Issuer has certificates issued for hosts that the configuration names. It is an interface
// so that a sidecar, which needs none, does not carry one. Its methods are safe for
// concurrent use.
type Issuer interface {
	// Allow sets the hosts that certificates may be had for.
	Allow(hosts []string)
	// Certificate answers a client's hello; see tls.Options.ACME.
	Certificate(hello *ctls.ClientHelloInfo, hosts []string) (*ctls.Certificate, error)
	// Challenge returns the answer to an authority's request for a path over plaintext
	// HTTP; ok is false where there is none to give.
	Challenge(host, path string) (answer []byte, ok bool)
	// Problems tells why certificates could not be had, by host.
	Problems() map[string]error
}

// issuedHosts are the hosts for which a configuration asks for certificates.
func issuedHosts(spec *router.Spec) []string {
	var hosts []string
	for _, l := range spec.Listeners {
		for _, c := range l.Chains {
			if c.TLS == nil {
				continue
			}
			for _, credential := range c.TLS.Certificates {
				if credential.ACME {
					hosts = append(hosts, credential.Hosts...)
				}
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (o Options) tlsOptions() tls.Options {
	t := tls.Options{Logger: o.Logger, Clock: time.Now, MeshDir: o.TLS.MeshDir, TicketKeys: o.TLS.TicketKeys}
	if o.TLS.Issuer != nil {
		t.ACME = o.TLS.Issuer.Certificate
	}
	return t
}

// ProxyProtocol are the peers that begin their connections with a header of the PROXY
// protocol, by a port of the configuration; those at 0 do so at every port.
type ProxyProtocol map[uint16][]netip.Prefix

func (p ProxyProtocol) at(port uint16) []netip.Prefix {
	if list, ok := p[port]; ok {
		return list
	}
	return p[0]
}

// responseHeaders are what every response inside TLS says.
func (t TLS) responseHeaders(b Bind) []router.Header {
	var list []router.Header
	if t.HSTS != "" {
		list = append(list, router.Header{Name: "strict-transport-security", Value: t.HSTS})
	}
	if b.AltSvc != 0 {
		list = append(list, router.Header{Name: "alt-svc", Value: `h3=":` + strconv.Itoa(int(b.AltSvc)) + `"; ma=86400`})
	}
	return list
}

// challenge returns what answers an authority's HTTP-01 challenges, nil for nothing.
func (t TLS) challenge() func(host, path string) ([]byte, bool) {
	if t.Issuer == nil {
		return nil
	}
	return t.Issuer.Challenge
}
