package tls

import (
	"crypto/x509"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Demands counts the changes of what may be asked of clients' certificates: as long as it stays
// the same, so does what [proxy.TLSState.Meets] tells of a server.
func (s *Store) Demands() uint64 { return s.demands.Load() }

// meets returns a state's Meets, given what the client has shown in its handshake.
func (s *Store) meets(state *proxy.TLSState, shown []*x509.Certificate, verified [][]*x509.Certificate) func(*router.ServerTLS) bool {
	// found is the policy of the last demand that was found to be met: to verify costs as much as
	// a handshake, and there is a look with each table.
	var found atomic.Pointer[string]
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
		if known := found.Load(); known != nil && *known == now.policy {
			return true
		}
		if !now.demand.holds(shown, verified) {
			return false
		}
		policy := now.policy
		found.Store(&policy)
		return true
	}
}
