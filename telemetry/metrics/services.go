package metrics

import (
	"net"
	"strconv"
	"sync"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// services finds services by what is known of them, once it is first asked: few
// configurations are.
type services struct {
	self   identity.Identity
	once   sync.Once
	byHost map[string]router.Service
	// own are those of the proxy's own workload, by the port that it serves.
	own map[uint16]router.Service
}

// service returns that of a host which the mesh knows.
func (a *applied) service(host string) router.Service {
	return a.services.find(a.spec).byHost[host]
}

// ownService returns that which has the proxy's own workload among its endpoints, at a port.
func (a *applied) ownService(port uint16) router.Service {
	return a.services.find(a.spec).own[port]
}

func (f *services) find(spec *router.Spec) *services {
	f.once.Do(func() {
		f.byHost, f.own = make(map[string]router.Service), make(map[uint16]router.Service)
		for _, c := range spec.Clusters {
			s := serviceOf(c)
			if s.Host == "" {
				continue
			}
			f.byHost[s.Host] = s
			for _, e := range c.Endpoints {
				w, known := f.self.Endpoint(e, s.Namespace)
				if !known || w.Name == "" || w.Name != f.self.Workload || w.Namespace != f.self.Namespace {
					continue
				}
				_, text, _ := net.SplitHostPort(e.Address)
				port, _ := strconv.ParseUint(text, 10, 16)
				// The first by name, so that the order of clusters does not matter.
				if first, taken := f.own[uint16(port)]; !taken || s.Host < first.Host {
					f.own[uint16(port)] = s
				}
			}
		}
	})
	return f
}
