package decode

import (
	"bytes"

	"github.com/sluicegate/sluice/config/istio/kube"
)

var (
	sliceNames      = []string{"apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"}
	endpointNames   = []string{"addresses", "conditions", "targetRef", "zone"}
	conditionNames  = []string{"ready", "serving", "terminating"}
	referenceNames  = []string{"kind", "namespace", "name"}
	slicePortNames  = []string{"name", "protocol", "port", "appProtocol"}
	endpointsMarker = []byte(`"addresses":`)
)

// endpointParts are what the fields of an endpoint point to. Those of all the endpoints of a
// slice are one piece of memory.
type endpointParts struct {
	addresses                   [1]string
	zone                        string
	ready, serving, terminating bool
	reference                   kube.ObjectReference
}

// slice reads an EndpointSlice.
func (q *quick) slice(s *kube.EndpointSlice) bool {
	return q.fields(sliceNames, func(name string) bool {
		switch name {
		case "apiVersion":
			return q.text(&s.APIVersion)
		case "kind":
			return q.text(&s.Kind)
		case "metadata":
			return q.metadata(&s.ObjectMeta)
		case "addressType":
			return q.text((*string)(&s.AddressType))
		case "ports":
			return q.slicePorts(s)
		default:
			return q.endpoints(s)
		}
	}) && q.end()
}

func (q *quick) endpoints(s *kube.EndpointSlice) bool {
	if q.null() {
		return true
	}
	n := bytes.Count(q.Text, endpointsMarker)
	s.Endpoints = make([]kube.Endpoint, 0, n)
	parts := make([]endpointParts, n)
	return q.List(func() bool {
		i := len(s.Endpoints)
		if i == n {
			return false // one without addresses
		}
		s.Endpoints = s.Endpoints[:i+1]
		return q.endpoint(&s.Endpoints[i], &parts[i])
	})
}

func (q *quick) endpoint(e *kube.Endpoint, parts *endpointParts) bool {
	return q.fields(endpointNames, func(name string) bool {
		switch name {
		case "addresses":
			e.Addresses = parts.addresses[:0:1]
			return q.texts(&e.Addresses)
		case "zone":
			e.Zone = &parts.zone
			return q.text(e.Zone)
		case "conditions":
			return q.endpointConditions(&e.Conditions, parts)
		default:
			e.TargetRef = &parts.reference
			return q.reference(e.TargetRef)
		}
	})
}

func (q *quick) endpointConditions(c *kube.EndpointConditions, parts *endpointParts) bool {
	return q.fields(conditionNames, func(name string) bool {
		switch name {
		case "ready":
			c.Ready = &parts.ready
			return q.flag(c.Ready)
		case "serving":
			c.Serving = &parts.serving
			return q.flag(c.Serving)
		default:
			c.Terminating = &parts.terminating
			return q.flag(c.Terminating)
		}
	})
}

func (q *quick) reference(r *kube.ObjectReference) bool {
	return q.fields(referenceNames, func(name string) bool {
		switch name {
		case "kind":
			return q.text(&r.Kind)
		case "namespace":
			return q.text(&r.Namespace)
		default:
			return q.text(&r.Name)
		}
	})
}

func (q *quick) slicePorts(s *kube.EndpointSlice) bool {
	if q.null() {
		return true
	}
	s.Ports = []kube.SlicePort{}
	return q.List(func() bool {
		var p kube.SlicePort
		ok := q.fields(slicePortNames, func(name string) bool {
			if name == "port" {
				p.Port = new(int32)
				return q.number(p.Port)
			}
			text := new(string)
			switch name {
			case "name":
				p.Name = text
			case "protocol":
				p.Protocol = text
			default:
				p.AppProtocol = text
			}
			return q.text(text)
		})
		s.Ports = append(s.Ports, p)
		return ok
	})
}
