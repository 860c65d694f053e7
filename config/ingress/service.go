package ingress

import (
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/kube"
)

// servicePorts are the named ports of a Service, which are read when an Ingress asks.
type servicePorts struct {
	object *config.Object
	byName map[string]uint16
	// askers are the hosts whose rules depend on them.
	askers map[string]struct{}
}

// setService takes a Service that came, changed, or went.
func (t *translator) setService(name string, o *config.Object) {
	if o == nil {
		delete(t.services, name)
	} else {
		t.services[name] = o
	}
	if p := t.ports[name]; p != nil && p.object != o {
		p.object, p.byName = o, portsOf(o)
		for host := range p.askers {
			t.pending.hosts[host] = struct{}{}
		}
	}
}

// portsOf reads the named ports of a Service.
func portsOf(o *config.Object) map[string]uint16 {
	if o == nil {
		return nil
	}
	typed, _ := decode.Decode(o.Opened())
	s, ok := typed.(*kube.Service)
	if !ok {
		return nil
	}
	out := map[string]uint16{}
	for _, p := range s.Spec.Ports {
		if p.Name != "" && p.Protocol != "UDP" && p.Port > 0 && p.Port < 1<<16 {
			out[p.Name] = uint16(p.Port)
		}
	}
	return out
}

// port returns the number of an entry's port, 0 where there is no such port.
func (t *translator) port(h *host, e *entry) uint16 {
	p := e.backend.Port
	if p.Number > 0 {
		return uint16(p.Number)
	}
	name := e.from.object.Namespace + "/" + e.backend.Name
	known := t.ports[name]
	if known == nil {
		known = &servicePorts{object: t.services[name], byName: portsOf(t.services[name]), askers: map[string]struct{}{}}
		t.ports[name] = known
	}
	known.askers[h.name] = struct{}{}
	h.asked = append(h.asked, name)
	number := known.byName[p.Name]
	if number != 0 {
		return number
	}
	at := e.backendField(".port")
	if known.object == nil {
		h.fail(config.Error, istio.ServiceNotFound, e, e.backendField(".host"), "%q: there is no Service %s, and without it nobody knows which port is meant by %q; requests get 503. Correct the name, or write the port's number", e.backend.Name, name, p.Name)
	} else {
		h.fail(config.Error, istio.PortNotFound, e, at+".name", "%q: Service %s has no port of that name; requests get 503", p.Name, name)
	}
	return 0
}

// forgetPorts takes back what a host has asked of Services.
func (t *translator) forgetPorts(h *host) {
	for _, name := range h.asked {
		p := t.ports[name]
		if p == nil {
			continue
		}
		if delete(p.askers, h.name); len(p.askers) == 0 {
			delete(t.ports, name)
		}
	}
	h.asked = slices.Clip(h.asked[:0])
}
