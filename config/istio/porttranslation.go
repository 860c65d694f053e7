package istio

import (
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
)

// portTranslation says where traffic for a port that a Gateway names arrives: the
// Service in front of the gateway's pods takes it on that port and sends it on to
// its target port.
type portTranslation struct {
	target    uint16
	nodePorts []uint16
}

// noTranslationLabel on a Service keeps Gateways from looking at its ports.
const noTranslationLabel = "experimental.istio.io/disable-gateway-port-translation"

// portTranslations returns the translations by the port that Gateways name. Of
// several Services that select this gateway's pods, the oldest with the port counts.
func (c *Compiler) portTranslations() map[uint16]portTranslation {
	var inFront []*service
	for _, key := range slices.SortedFunc(maps.Keys(c.registry.byNamespace[c.options.Namespace]), compareKeys) {
		if s := c.inFront(key); s != nil {
			inFront = append(inFront, s)
		}
	}
	slices.SortStableFunc(inFront, func(a, b *service) int { return ageOf(a.object).compare(ageOf(b.object)) })
	translations := map[uint16]portTranslation{}
	for _, s := range inFront {
		for _, p := range s.kubeSpec.Ports {
			number := uint16(p.Port)
			if _, ok := translations[number]; ok || p.Protocol == "UDP" {
				continue
			}
			t := portTranslation{target: uint16(numericTarget(p))}
			if name := p.TargetPort.StrVal; name != "" {
				t.target = c.namedTarget(s, name, number)
			}
			if p.NodePort != 0 {
				t.nodePorts = []uint16{uint16(p.NodePort)}
			}
			translations[number] = t
		}
	}
	return translations
}

// inFront returns the Service of a key where it sends to this gateway's pods.
func (c *Compiler) inFront(key config.Key) *service {
	s := c.registry.byObject[key][0]
	if !s.kube || len(s.kubeSpec.Selector) == 0 || !selects(s.kubeSpec.Selector, c.options.Labels) {
		return nil
	}
	if _, off := s.object.Labels[noTranslationLabel]; off {
		return nil
	}
	return s
}

// namedTarget looks a target port's name up in the Pods that the Service selects;
// without one, the port is bound as it is.
func (c *Compiler) namedTarget(s *service, name string, number uint16) uint16 {
	for _, podName := range slices.Sorted(maps.Keys(c.workloads.pods[s.namespace])) {
		pod := c.workloads.pods[s.namespace][podName]
		if !selects(s.kubeSpec.Selector, pod.Labels) {
			continue
		}
		for _, container := range pod.Spec.Containers {
			for _, p := range container.Ports {
				if p.Name == name {
					return uint16(p.ContainerPort)
				}
			}
		}
	}
	return number
}
