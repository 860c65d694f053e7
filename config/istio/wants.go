package istio

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// Wants returns what the objects that the compiler has been given need of others: the Secrets
// that they name, the Pods that ServiceEntries select, the labels of Pods by which
// DestinationRules tell endpoints apart, and Nodes where it matters in which region an endpoint
// is. Every list is sorted.
func (c *Compiler) Wants() config.Wants {
	var secrets, pods, labels = map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	nodes := false
	for _, g := range c.gatewaysInOrder() {
		for _, s := range g.spec.Servers {
			for _, name := range c.serverSecrets(g, s.GetTls()) {
				secrets[name] = struct{}{}
			}
		}
	}
	for name := range c.rules.bySecret {
		secrets[name] = struct{}{}
	}
	for _, r := range c.rules.byObject {
		nodes = nodes || c.place.looksAtRegions(r.spec)
		if looksAtLabels(r.spec) {
			for _, namespace := range c.podNamespaces(r.host) {
				labels[namespace] = struct{}{}
			}
		}
	}
	for o := range c.objects.byKey.typed() {
		if e, ok := o.typed.(*resource.ServiceEntry); ok && e.Spec.WorkloadSelector != nil {
			pods[o.inForce.Namespace] = struct{}{}
		}
	}
	w := config.Wants{Pods: slices.Sorted(maps.Keys(pods)), PodLabels: slices.Sorted(maps.Keys(labels)), Nodes: nodes}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		key := config.Key{Kind: "Secret"}
		key.Namespace, key.Name, _ = strings.Cut(name, "/")
		if key.Name != "" && !strings.ContainsAny(key.Name, "/:") {
			w.Secrets = append(w.Secrets, key)
		}
	}
	return w
}

// looksAtLabels says whether a rule tells endpoints apart by their labels.
func looksAtLabels(spec *networking.DestinationRule) bool {
	far := func(p *networking.TrafficPolicy) bool {
		if len(p.GetLoadBalancer().GetLocalityLbSetting().GetFailoverPriority()) > 0 {
			return true
		}
		return slices.ContainsFunc(p.GetPortLevelSettings(), func(port *networking.TrafficPolicy_PortTrafficPolicy) bool {
			return len(port.GetLoadBalancer().GetLocalityLbSetting().GetFailoverPriority()) > 0
		})
	}
	return far(spec.TrafficPolicy) || slices.ContainsFunc(spec.Subsets, func(s *networking.Subset) bool {
		return len(s.Labels) > 0 || far(s.TrafficPolicy)
	})
}

// podNamespaces are the namespaces of the Pods behind a rule's host, as far as its name tells;
// "" for any.
func (c *Compiler) podNamespaces(host string) []string {
	suffix := ".svc." + c.options.Domain
	if isWildcard(host) && strings.HasSuffix(suffix, host[1:]) {
		return []string{""}
	}
	name, isService := strings.CutSuffix(host, suffix)
	if !isService {
		// It may be a short one, such as "web.shop" or "web.shop.svc".
		name = strings.TrimSuffix(host, ".svc")
	}
	_, namespace, ok := strings.Cut(name, ".")
	if !ok || strings.Contains(namespace, ".") {
		return nil
	}
	return []string{namespace}
}

// MayWant says whether an object's text has anything that Wants looks for, so that a compiler
// that is for nothing else can be spared the rest.
func MayWant(o *config.Object) bool {
	if o.Group != "networking.istio.io" {
		return o.Group == "" && o.Kind == "Node"
	}
	has := func(words ...string) bool {
		text := o.Text()
		return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(text, []byte(word)) })
	}
	switch o.Kind {
	case "Gateway":
		return true
	case "DestinationRule":
		// Both spellings, credentialName and credential_name.
		return has("redential", "ubsets", "ailover", "utlier")
	case "ServiceEntry":
		return has("orkload")
	}
	return false
}
