package role

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// demands counts the changes of what servers ask of their clients' certificates: by the
// configuration, and by the authorities and revocation lists that it names.
func (p *process) demands() uint64 { return p.tables.Load() + p.certificates.Demands() }

// meets tells whether a connection's client has shown what its server asks for by now. Of a server
// that is no more nothing is asked: see serves.
func (p *process) meets(info *proxy.Connection) bool {
	chain := p.engine.Table().NamedChain(info.Listener, info.Chain)
	switch {
	case chain == nil || chain.TLS == nil:
		return true
	case info.TLS == nil || info.TLS.Meets == nil:
		// It was made when the server passed TLS on, or had none.
		return chain.TLS.ClientAuth != router.RequireClientCertificate
	}
	return info.TLS.Meets(chain.TLS)
}

// serves tells whether the server that a connection was made to is there yet, by its name: what
// the connection carries is routed by that, and nowhere without.
func (p *process) serves(info *proxy.Connection) bool {
	table := p.engine.Table()
	if info.Chain == "" {
		return !table.HasChains(info.Listener)
	}
	return table.NamedChain(info.Listener, info.Chain) != nil
}
