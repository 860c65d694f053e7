package tls

import (
	"crypto/x509"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Demands counts the changes of what may be asked of clients' certificates: as long as it stays
// the same, so does what [proxy.TLSState.Meets] tells of a server.
func (s *Store) Demands() uint64 { return s.demands.Load() }

// meets returns a state's Meets, given what the client has shown in its handshake.
func (s *Store) meets(state *proxy.TLSState, shown []*x509.Certificate, verified [][]*x509.Certificate) func(*router.ServerTLS) bool {
	return func(t *router.ServerTLS) bool {
		if t.ClientAuth == router.NoClientCertificate {
			return true
		}
		var now *serverState
		if e := s.published.Load().server(t); e != nil {
			now = e.state.Load()
		}
		switch {
		case now == nil || now.demand == nil:
			// Whom the authorities would vouch for is not known until they are there.
			return len(shown) > 0 || t.ClientAuth != router.RequireClientCertificate
		case now.policy == state.Policy:
			return true
		}
		return now.demand.holds(shown, verified)
	}
}
