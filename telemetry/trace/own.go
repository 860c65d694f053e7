package trace

import (
	"cmp"
	"net"
	"strconv"
	"sync"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// ownServices finds the services that have the proxy's own workload among their endpoints, once
// it is first asked: calls to the workload are named by them.
type ownServices struct {
	spec   *router.Spec
	self   identity.Identity
	once   sync.Once
	byPort map[uint16]string
}

// at returns host and port of the service whose endpoint is the workload at a port, empty where
// there is none.
func (o *ownServices) at(port uint16) string {
	o.once.Do(o.find)
	return o.byPort[port]
}

func (o *ownServices) find() {
	o.byPort = make(map[uint16]string)
	for _, c := range o.spec.Clusters {
		if c.Service.Host == "" || o.self.Workload == "" {
			continue
		}
		name := c.Service.Host + ":" + strconv.Itoa(int(c.Port))
		for _, e := range c.Endpoints {
			w, known := o.self.Endpoint(e, c.Service.Namespace)
			if !known || w.Name != o.self.Workload || cmp.Or(w.Namespace, c.Service.Namespace) != o.self.Namespace {
				continue
			}
			_, text, _ := net.SplitHostPort(e.Address)
			port, _ := strconv.ParseUint(text, 10, 16)
			// The first by name, so that the order of clusters does not matter.
			if first, taken := o.byPort[uint16(port)]; !taken || name < first {
				o.byPort[uint16(port)] = name
			}
		}
	}
	o.spec = nil
}
