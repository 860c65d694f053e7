package istio

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/router"
)

// service is one host that traffic can be sent to: a Kubernetes Service, or one of
// the hosts of a ServiceEntry. It is not changed once it is in the registry.
type service struct {
	host      string
	namespace string
	object    *config.Object
	kube      bool
	exportTo  []string
	ports     []servicePort
	// portAt has where each port is among many; nil where they are few.
	portAt map[uint16]int
	// resolution says how endpoints are found.
	resolution router.Resolution
	// headless services resolve to their endpoints, each of which has a name under
	// the service's.
	headless bool
	// alias is the host that an ExternalName service stands for.
	alias string
	// addresses are the virtual addresses that callers may use as the host.
	addresses []string

	// One of them holds what the endpoints are made from.
	kubeSpec *kube.ServiceSpec
	entry    *networking.ServiceEntry
}

// telemetryName is what telemetry calls the service, as Istio does: one of Kubernetes by its
// short name, any other by its whole host.
func (s *service) telemetryName() router.Service {
	name := s.host
	if s.kube {
		name = s.object.Name
	}
	return router.Service{Host: s.host, Name: name, Namespace: s.namespace}
}

// servicePort is a port as callers know it.
type servicePort struct {
	number uint16
	// target is the endpoints' port where a ServiceEntry says that it is another.
	target   uint16
	name     string
	protocol portProtocol
	// upstream is what the endpoints speak.
	upstream router.Protocol
}

// port returns the port with that number.
func (s *service) port(number uint16) (servicePort, bool) {
	if s.portAt != nil {
		if at, ok := s.portAt[number]; ok {
			return s.ports[at], true
		}
		return servicePort{}, false
	}
	for _, p := range s.ports {
		if p.number == number {
			return p, true
		}
	}
	return servicePort{}, false
}

// fewPorts is up to how many ports are looked through.
const fewPorts = 16

// indexPorts returns where each port is among many, the first of a number; nil for few.
func indexPorts(ports []servicePort) map[uint16]int {
	if len(ports) <= fewPorts {
		return nil
	}
	at := make(map[uint16]int, len(ports))
	for i, p := range ports {
		if _, ok := at[p.number]; !ok {
			at[p.number] = i
		}
	}
	return at
}

// selector is what finds the service's workloads; empty where none does.
func (s *service) selector() map[string]string {
	if s.kube {
		return s.kubeSpec.Selector
	}
	return s.entry.GetWorkloadSelector().GetLabels()
}

// kubeServices returns the service that a Kubernetes Service is.
func kubeServices(o *config.Object, spec *kube.ServiceSpec, domain string) []*service {
	s := &service{
		host:      strings.ToLower(o.Name) + "." + o.Namespace + ".svc." + domain,
		namespace: o.Namespace,
		object:    o,
		kube:      true,
		exportTo:  splitList(o.Annotations["networking.istio.io/exportTo"]),
		kubeSpec:  spec,
	}
	for _, p := range spec.Ports {
		appProtocol := ""
		if p.AppProtocol != nil {
			appProtocol = *p.AppProtocol
		}
		port := newServicePort(uint16(p.Port), p.Name, kubeProtocol(p.Name, appProtocol, string(p.Protocol), p.Port))
		if port.protocol != udpProtocol {
			s.ports = append(s.ports, port)
		}
	}
	s.portAt = indexPorts(s.ports)
	switch {
	case spec.Type == kube.ServiceTypeExternalName && spec.ExternalName != "":
		s.alias = strings.ToLower(strings.TrimSuffix(spec.ExternalName, "."))
		s.resolution = router.ResolutionDNS
	case spec.ClusterIP == kube.ClusterIPNone:
		s.headless = true
	default:
		s.addresses = virtualAddresses(spec)
	}
	return []*service{s}
}

// virtualAddresses returns the cluster addresses of a Service, each once.
func virtualAddresses(spec *kube.ServiceSpec) []string {
	var addresses []string
	for _, a := range append(slices.Clone(spec.ClusterIPs), spec.ClusterIP) {
		if a != "" && a != kube.ClusterIPNone && !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// splitList reads a list of names parted by commas.
func splitList(s string) []string {
	var list []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// entryServices returns the services that a ServiceEntry makes, one for each host.
func entryServices(o *config.Object, entry *networking.ServiceEntry) []*service {
	var ports []servicePort
	for _, p := range entry.Ports {
		if port := newServicePort(uint16(p.Number), p.Name, p.Protocol); port.protocol != udpProtocol {
			port.target = uint16(p.TargetPort)
			ports = append(ports, port)
		}
	}
	portAt := indexPorts(ports)
	services := make([]*service, 0, len(entry.Hosts))
	for _, host := range entry.Hosts {
		services = append(services, &service{
			host:       strings.ToLower(host),
			namespace:  o.Namespace,
			object:     o,
			exportTo:   entry.ExportTo,
			ports:      ports,
			portAt:     portAt,
			resolution: entryResolution(entry.Resolution),
			addresses:  entryAddresses(entry.Addresses),
			entry:      entry,
		})
	}
	return services
}

// entryResolution says how the endpoints of a ServiceEntry are found. With DYNAMIC_DNS the
// host is a wildcard, and the endpoint is the very name that a request asks for; with NONE it
// is where the client meant to go, which a gateway knows by the same name only. So the two are
// one here.
func entryResolution(r networking.ServiceEntry_Resolution) router.Resolution {
	switch r {
	case networking.ServiceEntry_DNS:
		return router.ResolutionDNS
	case networking.ServiceEntry_DNS_ROUND_ROBIN:
		return router.ResolutionLogicalDNS
	case networking.ServiceEntry_NONE, networking.ServiceEntry_DYNAMIC_DNS:
		return router.ResolutionOriginal
	}
	return router.ResolutionStatic
}

// entryAddresses returns the single addresses among those of a ServiceEntry.
func entryAddresses(addresses []string) []string {
	var single []string
	for _, a := range addresses {
		a = strings.TrimSuffix(strings.TrimSuffix(a, "/32"), "/128")
		if !strings.Contains(a, "/") {
			single = append(single, a)
		}
	}
	return single
}
