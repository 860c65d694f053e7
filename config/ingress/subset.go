package ingress

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// subsets are what Ingresses say of the connections to one Service: the subsets of a
// DestinationRule, one for each Ingress. So nobody else's connections to it change.
type subsets struct {
	namespace, service string
	// users are the hosts whose rules name an Ingress' subset.
	users map[*ingress]map[string]struct{}
	key   config.Key
}

// subsetKey is a Service, as an Ingress speaks to it.
type subsetKey struct{ namespace, service, ingress string }

// subsetName names the subset of an Ingress.
func subsetName(ingress string) string { return label("ingress-" + ingress) }

// label returns a name as one label, of at most 63 characters: as it is where it is one, else
// with something at its end that tells it from others.
func label(name string) string {
	if isLabel(name) {
		return name
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name[:min(len(name), 54)])
	return fmt.Sprintf("%s-%08x", strings.Trim(plain, "-"), sum.Sum32())
}

// useSubsets notes which subsets a host's rules name now.
func (t *translator) useSubsets(h *host, rules []httpRule) {
	now := map[subsetKey]*ingress{}
	for _, r := range rules {
		for _, to := range r.destinations {
			if to.from.settings.traffic != nil {
				now[subsetKey{to.from.object.Namespace, to.backend.Name, to.from.object.Name}] = to.from
			}
		}
	}
	for key, in := range h.subsets {
		if now[key] != in {
			s := t.subsets[key.namespace+"/"+key.service]
			if delete(s.users[in], h.name); len(s.users[in]) == 0 {
				delete(s.users, in)
			}
			t.pending.subsets[key.namespace+"/"+key.service] = struct{}{}
		}
	}
	for key, in := range now {
		if h.subsets[key] == in {
			continue
		}
		name := key.namespace + "/" + key.service
		s := t.subsets[name]
		if s == nil {
			s = &subsets{namespace: key.namespace, service: key.service, users: map[*ingress]map[string]struct{}{}}
			t.subsets[name] = s
		}
		if s.users[in] == nil {
			s.users[in] = map[string]struct{}{}
		}
		s.users[in][h.name] = struct{}{}
		t.pending.subsets[name] = struct{}{}
	}
	h.subsets = now
}

// settleSubsets makes the DestinationRule for a Service anew.
func (t *translator) settleSubsets(name string) {
	s := t.subsets[name]
	if s == nil {
		return
	}
	if len(s.users) == 0 {
		t.forget(s.key)
		delete(t.subsets, name)
		return
	}
	all := slices.SortedFunc(maps.Keys(s.users), (*ingress).compare)
	r := &resource.DestinationRule{}
	r.Kind, r.APIVersion, r.Namespace, r.Name = "DestinationRule", istioGroup+"/v1", s.namespace, t.naming.destinationRule(s.service)
	r.Spec.Host = fmt.Sprintf("%s.%s.svc.%s", s.service, s.namespace, t.domain)
	for _, in := range all {
		r.Spec.Subsets = append(r.Spec.Subsets, &networking.Subset{Name: subsetName(in.object.Name), TrafficPolicy: in.settings.traffic})
	}
	o := derived(r.Kind, r.Namespace, r.Name, all[0].object.Created, r, func(field string) (config.Key, string) {
		return subsetOrigin(all, field)
	})
	s.key = o.Key
	t.put(o, all)
}

// subsetOrigin says which annotation a field of a subset was made from.
func subsetOrigin(all []*ingress, field string) (config.Key, string) {
	index := 0
	if _, err := fmt.Sscanf(field, "subsets[%d]", &index); err != nil || index >= len(all) {
		index = 0
	}
	annotation := ""
	for part, name := range map[string]string{
		"trafficPolicy.tls": "backend-protocol", "connectionPool.http": "backend-protocol", "connectionPool.tcp": "proxy-connect-timeout", "loadBalancer": "affinity",
	} {
		if strings.Contains(field, part) {
			annotation = annotationField(name)
		}
	}
	return all[index].object.Key, annotation
}
