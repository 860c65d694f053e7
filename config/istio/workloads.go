package istio

import (
	"cmp"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// legacyEndpoints is what Kubernetes had before EndpointSlices, and folders still hold.
//
//lint:ignore SA1019 it is served as long as people write it
type legacyEndpoints = kube.Endpoints

// objectName is a namespace and a name within it.
type objectName struct{ namespace, name string }

// virtualService is the key of the VirtualService of that name.
func (n objectName) virtualService() config.Key {
	return config.Key{Group: "networking.istio.io", Kind: "VirtualService", Namespace: n.namespace, Name: n.name}
}

// compare orders by namespace, then by name.
func (n objectName) compare(other objectName) int {
	return cmp.Or(cmp.Compare(n.namespace, other.namespace), cmp.Compare(n.name, other.name))
}

// workloads holds the objects that endpoints are made from.
type workloads struct {
	// place is where this proxy is.
	place *place
	// slices and endpoints are by the service's name; slices then by their own.
	slices    map[objectName]map[string]*kube.EndpointSlice
	endpoints map[objectName]*legacyEndpoints
	// pods and entries are by their namespace, then their name.
	pods    map[string]map[string]*kube.Pod
	entries map[string]map[string]*networking.WorkloadEntry

	serviceOfSlice map[config.Key]objectName
	// podsAt are the names of the pods at an address in a namespace.
	podsAt map[objectName]map[string]struct{}
	// servicesOf are the services with an endpoint that refers to a pod, and
	// servicesAt those with one that only has an address: one for each such endpoint.
	servicesOf, servicesAt map[objectName][]objectName
}

func newWorkloads(place *place) *workloads {
	return &workloads{
		place:          place,
		slices:         map[objectName]map[string]*kube.EndpointSlice{},
		endpoints:      map[objectName]*legacyEndpoints{},
		pods:           map[string]map[string]*kube.Pod{},
		entries:        map[string]map[string]*networking.WorkloadEntry{},
		serviceOfSlice: map[config.Key]objectName{},
		podsAt:         map[objectName]map[string]struct{}{},
		servicesOf:     map[objectName][]objectName{},
		servicesAt:     map[objectName][]objectName{},
	}
}

// setSlice takes a new version of an EndpointSlice, nil where it is gone, and
// returns the services that it concerns.
func (w *workloads) setSlice(key config.Key, slice *kube.EndpointSlice) []objectName {
	var concerned []objectName
	if old, ok := w.serviceOfSlice[key]; ok {
		concerned = append(concerned, old)
		w.noteSlice(old, w.slices[old][key.Name], false)
		delete(w.slices[old], key.Name)
		delete(w.serviceOfSlice, key)
		if len(w.slices[old]) == 0 {
			delete(w.slices, old)
		}
	}
	if slice == nil || slice.Labels[kube.LabelServiceName] == "" {
		return concerned
	}
	service := objectName{key.Namespace, slice.Labels[kube.LabelServiceName]}
	if w.slices[service] == nil {
		w.slices[service] = map[string]*kube.EndpointSlice{}
	}
	w.slices[service][key.Name] = slice
	w.serviceOfSlice[key] = service
	w.noteSlice(service, slice, true)
	return append(concerned, service)
}

func (w *workloads) noteSlice(service objectName, slice *kube.EndpointSlice, there bool) {
	for i := range slice.Endpoints {
		for _, address := range slice.Endpoints[i].Addresses {
			w.note(service, slice.Endpoints[i].TargetRef, address, there)
		}
	}
}

// setEndpoints takes a new version of a service's Endpoints, nil where they are gone.
func (w *workloads) setEndpoints(service objectName, endpoints *legacyEndpoints) {
	if old := w.endpoints[service]; old != nil {
		w.noteEndpoints(service, old, false)
		delete(w.endpoints, service)
	}
	if endpoints != nil {
		w.endpoints[service] = endpoints
		w.noteEndpoints(service, endpoints, true)
	}
}

func (w *workloads) noteEndpoints(service objectName, endpoints *legacyEndpoints, there bool) {
	for _, subset := range endpoints.Subsets {
		for _, a := range subset.Addresses {
			w.note(service, a.TargetRef, a.IP, there)
		}
	}
}

// note remembers, or forgets, where an endpoint of a service has its labels from: the pod
// that it refers to, or the one with its address. Few pods are in more than one service, or
// twice in one, so that a list is enough.
func (w *workloads) note(service objectName, ref *kube.ObjectReference, address string, there bool) {
	services, from := w.servicesAt, objectName{service.namespace, address}
	if ref != nil {
		services, from = w.servicesOf, objectName{cmp.Or(ref.Namespace, service.namespace), ref.Name}
	}
	if there {
		services[from] = append(services[from], service)
		return
	}
	list := services[from]
	if i := slices.Index(list, service); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(services, from)
		return
	}
	services[from] = list
}

// setPod takes a new version of a pod, nil where it is gone.
func (w *workloads) setPod(name objectName, pod *kube.Pod) {
	if old := w.pods[name.namespace][name.name]; old != nil {
		at := objectName{name.namespace, old.Status.PodIP}
		takeFrom(w.podsAt, at, name.name)
	}
	setIn(w.pods, name.namespace, name.name, pod)
	if pod != nil && pod.Status.PodIP != "" {
		addTo(w.podsAt, objectName{name.namespace, pod.Status.PodIP}, name.name)
	}
}

// podAt returns the pod at an address in a namespace; of several the first by name.
func (w *workloads) podAt(namespace, address string) *kube.Pod {
	if names := w.podsAt[objectName{namespace, address}]; len(names) > 0 {
		return w.pods[namespace][slices.Min(slices.Collect(maps.Keys(names)))]
	}
	return nil
}

// setIn puts a value into a map of maps, or takes it out where it is nil.
func setIn[V any](m map[string]map[string]*V, namespace, name string, v *V) {
	if v == nil {
		if delete(m[namespace], name); len(m[namespace]) == 0 {
			delete(m, namespace)
		}
		return
	}
	if m[namespace] == nil {
		m[namespace] = map[string]*V{}
	}
	m[namespace][name] = v
}

// takeWorkload takes a change to what endpoints are made from, and marks the clusters
// that it concerns.
func (c *Compiler) takeWorkload(ch change) {
	name := objectName{ch.key.Namespace, ch.key.Name}
	switch ch.key.Kind {
	case "WorkloadEntry":
		var entry *networking.WorkloadEntry
		if t, ok := ch.typed.(*resource.WorkloadEntry); ok {
			entry = &t.Spec
		}
		setIn(c.workloads.entries, name.namespace, name.name, entry)
	case "Pod":
		pod, _ := ch.typed.(*kube.Pod)
		c.workloads.setPod(name, pod)
	case "Endpoints":
		endpoints, _ := ch.typed.(*legacyEndpoints)
		c.workloads.setEndpoints(name, endpoints)
		c.endpointsChanged(name)
	case "EndpointSlice":
		slice, _ := ch.typed.(*kube.EndpointSlice)
		for _, service := range c.workloads.setSlice(ch.key, slice) {
			c.endpointsChanged(service)
		}
	}
	for _, version := range []any{ch.typedBefore, ch.typed} {
		switch t := version.(type) {
		case *resource.WorkloadEntry:
			c.selectedChanged(name.namespace, t.Spec.Labels)
		case *kube.Pod:
			c.podChanged(name, t)
		}
	}
}

// endpointsChanged marks the clusters of a Kubernetes Service.
func (c *Compiler) endpointsChanged(name objectName) {
	for _, s := range c.registry.byObject[config.Key{Kind: "Service", Namespace: name.namespace, Name: name.name}] {
		c.clusters.hostChanged(s.host)
	}
}

// podChanged marks the clusters of the services that have a pod: through a selector,
// or as one of their endpoints.
func (c *Compiler) podChanged(name objectName, pod *kube.Pod) {
	c.selectedChanged(name.namespace, pod.Labels)
	for _, service := range c.workloads.servicesOf[name] {
		c.endpointsChanged(service)
	}
	for _, service := range c.workloads.servicesAt[objectName{name.namespace, pod.Status.PodIP}] {
		c.endpointsChanged(service)
	}
	if name.namespace == c.options.Namespace {
		c.pending.translation = true
	}
}

// selectedChanged marks the clusters of the services of a namespace whose selector
// finds the labels.
func (c *Compiler) selectedChanged(namespace string, labels map[string]string) {
	for key := range c.registry.byNamespace[namespace] {
		for _, s := range c.registry.byObject[key] {
			if selector := s.selector(); len(selector) > 0 && selects(selector, labels) {
				c.clusters.hostChanged(s.host)
			}
		}
	}
}
