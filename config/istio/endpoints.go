package istio

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/router"
)

// of returns the endpoints of a service's port, sorted by address.
func (w *workloads) of(services []*service, port uint16) []*router.Endpoint {
	var all []*router.Endpoint
	for _, s := range services {
		p, ok := s.port(port)
		if !ok {
			continue
		}
		if s.kube {
			all = append(all, w.ofKube(s, p)...)
		} else {
			all = append(all, w.ofEntry(s, p)...)
		}
	}
	slices.SortStableFunc(all, func(a, b *router.Endpoint) int { return cmp.Compare(a.Address, b.Address) })
	return slices.CompactFunc(all, func(a, b *router.Endpoint) bool { return a.Address == b.Address })
}

// ofEntry returns the endpoints of a ServiceEntry's port: those it lists, those it
// selects, or, where it is resolved by DNS, its host itself.
func (w *workloads) ofEntry(s *service, port servicePort) []*router.Endpoint {
	entry := s.entry
	target := uint32(cmp.Or(port.target, port.number))
	switch {
	case s.resolution == router.ResolutionOriginal:
		return nil
	case entry.WorkloadSelector != nil:
		return w.selected(s.namespace, entry.WorkloadSelector.Labels, port.name, target)
	case len(entry.Endpoints) == 0 && s.resolution != router.ResolutionStatic && !isWildcard(s.host):
		return []*router.Endpoint{{Address: join(s.host, target)}}
	}
	var out []*router.Endpoint
	for _, e := range entry.Endpoints {
		if endpoint := workloadEndpoint(e, port.name, target); endpoint != nil {
			out = append(out, endpoint)
		}
	}
	return out
}

// selected returns the endpoints that a ServiceEntry's workloadSelector finds in its
// namespace, among WorkloadEntries and Pods.
func (w *workloads) selected(namespace string, selector map[string]string, portName string, target uint32) []*router.Endpoint {
	out := w.selectedEntries(namespace, selector, portName, target)
	for _, name := range slices.Sorted(maps.Keys(w.pods[namespace])) {
		pod := w.pods[namespace][name]
		if !selects(selector, pod.Labels) || !podServes(pod, false) {
			continue
		}
		out = append(out, podEndpoint(pod, target))
	}
	return out
}

// selectedEntries returns the endpoints that WorkloadEntries make.
func (w *workloads) selectedEntries(namespace string, selector map[string]string, portName string, target uint32) []*router.Endpoint {
	var out []*router.Endpoint
	for _, name := range slices.Sorted(maps.Keys(w.entries[namespace])) {
		entry := w.entries[namespace][name]
		if !selects(selector, entry.Labels) {
			continue
		}
		if e := workloadEndpoint(entry, portName, target); e != nil {
			e.Workload = namespace + "/" + name
			out = append(out, e)
		}
	}
	return out
}

// workloadEndpoint returns the endpoint that a WorkloadEntry, or one of a
// ServiceEntry's endpoints, is for a port; nil where it has no address here.
func workloadEndpoint(entry *networking.WorkloadEntry, portName string, target uint32) *router.Endpoint {
	if entry.Address == "" {
		return nil
	}
	e := &router.Endpoint{Address: entry.Address, Weight: entry.Weight, Locality: entry.Locality, ServiceAccount: entry.ServiceAccount, Labels: entry.Labels}
	if strings.HasPrefix(entry.Address, "unix://") {
		return e
	}
	if p := entry.Ports[portName]; p != 0 {
		target = p
	}
	e.Address = join(entry.Address, target)
	return e
}

// ofKube returns the endpoints of a Kubernetes Service's port, from its
// EndpointSlices; else, as in a folder on a laptop, its Endpoints; else the Pods that
// it selects. WorkloadEntries that it selects come on top.
func (w *workloads) ofKube(s *service, port servicePort) []*router.Endpoint {
	var spec kube.ServicePort
	for _, p := range s.kubeSpec.Ports {
		if p.Port == int32(port.number) && p.Name == port.name {
			spec = p
		}
	}
	if s.alias != "" {
		return []*router.Endpoint{{Address: join(s.alias, numericTarget(spec))}}
	}
	name := objectName{s.namespace, s.object.Name}
	var out []*router.Endpoint
	switch {
	case len(w.slices[name]) > 0:
		out = w.ofSlices(name, s.kubeSpec, port.name)
	case w.endpoints[name] != nil:
		out = w.ofEndpoints(w.endpoints[name], port.name)
	case len(s.kubeSpec.Selector) > 0:
		out = w.ofPods(s, spec)
	}
	if len(s.kubeSpec.Selector) > 0 {
		out = append(out, w.selectedEntries(s.namespace, s.kubeSpec.Selector, port.name, numericTarget(spec))...)
	}
	return out
}

// numericTarget is the target port where it is a number, else the port itself.
func numericTarget(p kube.ServicePort) uint32 {
	if n := p.TargetPort.IntValue(); n > 0 {
		return uint32(n)
	}
	return uint32(p.Port)
}

// ofSlices returns the ready endpoints of a service's EndpointSlices.
func (w *workloads) ofSlices(name objectName, spec *kube.ServiceSpec, portName string) []*router.Endpoint {
	family := addressFamily(spec, w.slices[name])
	unread := unreadPods{namespace: name.namespace, labels: spec.Selector}
	var out []*router.Endpoint
	for _, sliceName := range slices.Sorted(maps.Keys(w.slices[name])) {
		slice := w.slices[name][sliceName]
		if slice.AddressType != family {
			continue
		}
		port := slicePort(slice, portName)
		if port == 0 {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			// Ready unknown counts as ready; terminating endpoints are not ready.
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, address := range e.Addresses {
				endpoint := w.podAddress(name.namespace, e.TargetRef, address, port)
				if endpoint.Workload == "" {
					unread.describe(endpoint, e.TargetRef)
				}
				if e.Zone != nil {
					endpoint.Locality = cmp.Or(endpoint.Locality, w.place.inZone(*e.Zone))
				}
				out = append(out, endpoint)
			}
		}
	}
	return out
}

// unreadPods tells of a Service's endpoints whose pods are not read as much as can be known
// without: the labels by which the Service selects them, and, by their names, what made them.
type unreadPods struct {
	namespace string
	labels    map[string]string
	// last is the workload seen last, and lastPath the same with the namespace.
	last, lastPath string
}

func (u *unreadPods) describe(e *router.Endpoint, ref *kube.ObjectReference) {
	e.Labels = u.labels
	if ref == nil || ref.Kind != "Pod" {
		return
	}
	if name := workloadOfPod(ref.Name); name != u.last || u.last == "" {
		u.last, u.lastPath = name, cmp.Or(ref.Namespace, u.namespace)+"/"+name
	}
	e.Workload = u.lastPath
}

// addressFamily picks one of the families that a service's slices have: each pod of
// a dual-stack service has an address in both. The service's first one goes first.
func addressFamily(spec *kube.ServiceSpec, all map[string]*kube.EndpointSlice) kube.AddressType {
	has := map[kube.AddressType]bool{}
	for _, slice := range all {
		has[slice.AddressType] = true
	}
	primary := kube.AddressTypeIPv4
	if len(spec.IPFamilies) > 0 {
		primary = kube.AddressType(spec.IPFamilies[0])
	} else if a, err := netip.ParseAddr(spec.ClusterIP); err == nil && a.Is6() {
		primary = kube.AddressTypeIPv6
	}
	switch {
	case has[primary]:
		return primary
	case has[kube.AddressTypeIPv4]:
		return kube.AddressTypeIPv4
	}
	return kube.AddressTypeIPv6
}

// slicePort returns the number of a slice's port by name; 0 where it has none.
func slicePort(slice *kube.EndpointSlice, name string) uint32 {
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return uint32(*p.Port)
		}
	}
	return 0
}

// ofEndpoints returns the ready addresses of an Endpoints object.
func (w *workloads) ofEndpoints(endpoints *legacyEndpoints, portName string) []*router.Endpoint {
	var out []*router.Endpoint
	for _, subset := range endpoints.Subsets {
		for _, p := range subset.Ports {
			if p.Name != portName {
				continue
			}
			for _, a := range subset.Addresses {
				out = append(out, w.podAddress(endpoints.Namespace, a.TargetRef, a.IP, uint32(p.Port)))
			}
		}
	}
	return out
}

// podAddress returns an endpoint with the labels of the pod behind it: the one
// referred to, else the one with the address.
func (w *workloads) podAddress(namespace string, ref *kube.ObjectReference, address string, port uint32) *router.Endpoint {
	var pod *kube.Pod
	if ref != nil {
		if ref.Kind == "Pod" {
			pod = w.pods[cmp.Or(ref.Namespace, namespace)][ref.Name]
		}
	} else {
		pod = w.podAt(namespace, address)
	}
	if pod == nil {
		return &router.Endpoint{Address: join(address, port)}
	}
	e := podEndpoint(pod, port)
	e.Address = join(address, port)
	return e
}

// ofPods returns the endpoints that a Service's selector finds.
func (w *workloads) ofPods(s *service, port kube.ServicePort) []*router.Endpoint {
	var out []*router.Endpoint
	for _, name := range slices.Sorted(maps.Keys(w.pods[s.namespace])) {
		pod := w.pods[s.namespace][name]
		if !selects(s.kubeSpec.Selector, pod.Labels) || !podServes(pod, s.kubeSpec.PublishNotReadyAddresses) {
			continue
		}
		if target := podPort(pod, port); target != 0 {
			out = append(out, podEndpoint(pod, target))
		}
	}
	return out
}

// podPort returns the number of a Service's target port in a pod: a name is looked
// up among the containers' ports; 0 where no container has it.
func podPort(pod *kube.Pod, port kube.ServicePort) uint32 {
	name := port.TargetPort.StrVal
	if name == "" {
		return numericTarget(port)
	}
	for _, container := range pod.Spec.Containers {
		for _, p := range container.Ports {
			if p.Name == name {
				return uint32(p.ContainerPort)
			}
		}
	}
	return 0
}

// podServes says whether a pod takes traffic: it has an address, runs, and is not
// said to be unready.
func podServes(pod *kube.Pod, unreadyToo bool) bool {
	if pod.Status.PodIP == "" || pod.DeletionTimestamp != nil ||
		pod.Status.Phase == kube.PodSucceeded || pod.Status.Phase == kube.PodFailed {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == kube.PodReady && c.Status == kube.ConditionFalse {
			return unreadyToo
		}
	}
	return true
}

func podEndpoint(pod *kube.Pod, port uint32) *router.Endpoint {
	return &router.Endpoint{
		Address:  join(pod.Status.PodIP, port),
		Locality: strings.ReplaceAll(pod.Labels["istio-locality"], ".", "/"),
		Workload: pod.Namespace + "/" + workloadName(pod), ServiceAccount: pod.Spec.ServiceAccountName,
		Labels: pod.Labels,
	}
}

// workloadName returns the name of what made a pod: its Deployment, StatefulSet and
// so on, else the pod itself.
func workloadName(pod *kube.Pod) string {
	for _, owner := range pod.OwnerReferences {
		if owner.Controller == nil || !*owner.Controller {
			continue
		}
		if hash := pod.Labels["pod-template-hash"]; owner.Kind == "ReplicaSet" && hash != "" {
			return strings.TrimSuffix(owner.Name, "-"+hash)
		}
		return owner.Name
	}
	return pod.Name
}

func join(host string, port uint32) string {
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}
