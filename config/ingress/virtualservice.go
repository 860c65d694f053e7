package ingress

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// host is one host with the paths that all Ingresses have for it.
type host struct {
	name    string
	entries map[*ingress][]*entry
	// key is that of its VirtualService; the zero one where there is none.
	key config.Key
	// subsets are the parts of DestinationRules that its rules name.
	subsets map[subsetKey]*ingress
	// bound are the servers for TLS that its rules serve, asked the Services whose ports'
	// names they depend on.
	bound      []server
	asked      []string
	conditions []config.Condition
}

func (h *host) drop(in *ingress) { delete(h.entries, in) }

// settleHost makes a host's VirtualService anew.
func (t *translator) settleHost(h *host) {
	h.conditions = nil
	t.forgetPorts(h)
	rules, ingresses := t.rulesOf(h)
	before := h.key
	if h.key = (config.Key{}); len(ingresses) > 0 {
		h.key = t.putVirtualService(h, rules, ingresses)
	}
	if before != h.key && before != (config.Key{}) {
		t.forget(before)
	}
	t.useSubsets(h, rules)
	if len(h.entries) == 0 {
		delete(t.hosts, h.name)
		if len(t.layout.byHost) > 0 {
			t.pending.layout = true
		}
	}
}

func (h *host) fail(severity config.Severity, reason config.Reason, e *entry, field, format string, args ...any) {
	c := config.Condition{Severity: severity, Reason: reason, Object: e.from.object.Key, Field: field, Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(h.conditions, c) {
		h.conditions = append(h.conditions, c)
	}
}

// rulesOf are a host's rules in order, with the Ingresses that they are of.
func (t *translator) rulesOf(h *host) (rules []httpRule, ingresses []*ingress) {
	primaries, canaries := h.arrange()
	c := ruleContext{tls: t.layout.covers(h.name), httpPort: t.options.HTTPPort, domain: t.domain, port: func(e *entry) uint16 { return t.port(h, e) }}
	for _, e := range primaries {
		c.canary, c.canaryEntry = nil, nil
		if other := canaries[e.match]; other != nil && other.backend != nil && t.port(h, other) != 0 && !other.from.settings.closed {
			c.canary, c.canaryEntry = other.from.settings.canary, other
		}
		c.refused = t.layout.refused[h.name][e.from]
		rules = append(rules, e.rules(c)...)
		if !slices.Contains(ingresses, e.from) {
			ingresses = append(ingresses, e.from)
		}
	}
	slices.SortFunc(ingresses, (*ingress).compare)
	return rules, ingresses
}

// arrange puts a host's paths in order, each once, and finds the canaries' primaries.
func (h *host) arrange() (primaries []*entry, canaries map[pathMatch]*entry) {
	var all []*entry
	for _, in := range slices.SortedFunc(maps.Keys(h.entries), (*ingress).compare) {
		all = append(all, h.entries[in]...)
	}
	// Of equals the older Ingress's comes first, and of one Ingress what is written first.
	slices.SortStableFunc(all, func(a, b *entry) int {
		if a.standing != b.standing && (a.standing > alias || b.standing > alias) {
			return int(a.standing) - int(b.standing)
		}
		if order := a.match.compare(b.match); order != 0 {
			return order
		}
		return int(a.standing) - int(b.standing)
	})
	hasOwn := slices.ContainsFunc(all, func(e *entry) bool { return e.standing == written })
	hasAny := slices.ContainsFunc(all, func(e *entry) bool { return e.standing != counter })
	taken := map[pathMatch]*entry{}
	canaries = map[pathMatch]*entry{}
	aliased := map[*ingress]bool{}
	for _, e := range all {
		switch {
		case e.from.settings.canary != nil:
			if e.standing == written || e.standing == alias {
				if canaries[e.match] != nil {
					h.taken(e, canaries[e.match], "is the one canary for the path")
				} else {
					canaries[e.match] = e
				}
			}
		case e.standing == alias && hasOwn:
			if !aliased[e.from] {
				aliased[e.from] = true
				h.fail(config.Warning, HostTaken, e, annotationField("server-alias"), "%q: Ingresses have rules for the host, which go before aliases: it is none for this one", h.name)
			}
		case e.standing == counter && hasAny:
			h.fail(config.Warning, HostTaken, e, e.field, "%q is in another Ingress, and is not redirected", h.name)
		case taken[e.match] != nil:
			if first := taken[e.match]; e.standing == first.standing && e.from != first.from || e.standing == written && first.standing == written {
				h.taken(e, first, "has the path")
			}
		default:
			taken[e.match] = e
			primaries = append(primaries, e)
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(canaries), pathMatch.compare) {
		if taken[m] == nil {
			h.fail(config.Error, CanaryWithoutPrimary, canaries[m], canaries[m].field, "no Ingress that is no canary has the path %s of %q, so that this one serves nothing: write the same host, path and pathType as there", m, h.name)
		}
	}
	return primaries, canaries
}

func (h *host) taken(e, by *entry, what string) {
	where := by.from.object.Key.String() + ", which is older,"
	if by.from == e.from {
		where = by.field
	}
	field := e.field
	if e.standing == written && strings.HasSuffix(field, "]") && !strings.HasPrefix(field, "metadata") {
		field += ".path"
	}
	h.fail(config.Warning, PathTaken, e, field, "%s %s %s of %q: this one serves nothing. Change one of them", where, what, e.match, h.name)
}

// putVirtualService makes the VirtualService of a host.
func (t *translator) putVirtualService(h *host, rules []httpRule, ingresses []*ingress) config.Key {
	oldest := ingresses[0]
	vs := &resource.VirtualService{}
	vs.Kind, vs.APIVersion = "VirtualService", istioGroup+"/v1"
	vs.Namespace, vs.Name = oldest.object.Namespace, t.naming.virtualService(h.name)
	vs.Spec.Hosts = []string{h.name}
	vs.Spec.Gateways = t.gatewaysOf(h)
	for _, r := range rules {
		vs.Spec.Http = append(vs.Spec.Http, r.http)
	}
	var passed *entry
	if passed = t.passedThrough(h); passed != nil {
		vs.Spec.Tls = []*networking.TLSRoute{{
			Match: []*networking.TLSMatchAttributes{{SniHosts: []string{h.name}, Port: uint32(t.options.HTTPSPort)}},
			Route: []*networking.RouteDestination{{Destination: &networking.Destination{
				Host: passed.serviceHost(t.domain), Port: &networking.PortSelector{Number: uint32(t.port(h, passed))},
			}}},
		}}
	}
	vs.Annotations = policiesOf(rules)
	o := derived(vs.Kind, vs.Namespace, vs.Name, oldest.object.Created, vs, func(field string) (config.Key, string) {
		return origin(rules, passed, oldest, field)
	})
	o.Annotations = vs.Annotations
	from := slices.Clone(ingresses)
	for _, r := range rules {
		for _, to := range r.destinations {
			if !slices.Contains(from, to.from) {
				from = append(from, to.from)
			}
		}
	}
	t.put(o, from)
	return o.Key
}

// policiesOf is what of rules Istio's API has no words for, as the annotation of their
// VirtualService; nil where there is nothing. A redirect to https is for everybody.
func policiesOf(rules []httpRule) map[string]string {
	byName := map[string]istio.RoutePolicy{}
	for _, r := range rules {
		if p := r.entry.from.settings.policy; !p.Empty() && r.http.Name != r.entry.name(sslRedirect) {
			byName[r.http.Name] = p
		}
	}
	if len(byName) == 0 {
		return nil
	}
	text, err := json.Marshal(byName)
	if err != nil {
		panic(err) // There is nothing in it that cannot be written.
	}
	return map[string]string{istio.RoutePolicies: string(text)}
}

// passedThrough is the path of a host to whose service its TLS is passed: the one for all
// paths, else the first; nil where TLS ends here.
func (t *translator) passedThrough(h *host) *entry {
	in := t.layout.passing[h.name]
	if in == nil {
		return nil
	}
	var found *entry
	for _, e := range h.entries[in] {
		if e.backend != nil && (found == nil || e.match == everything && found.match != everything) && t.port(h, e) != 0 {
			found = e
		}
	}
	return found
}

// origin says what a field of a host's VirtualService was made from.
func origin(rules []httpRule, passed *entry, fallback *ingress, field string) (config.Key, string) {
	var index, destination int
	if _, err := fmt.Sscanf(field, "tls[%d]", &index); err == nil && passed != nil {
		return passed.from.object.Key, passed.backendField(field)
	}
	if _, err := fmt.Sscanf(field, "http[%d]", &index); err != nil || index >= len(rules) {
		return fallback.object.Key, ""
	}
	r := rules[index]
	_, rest, _ := strings.Cut(field, "].")
	if _, err := fmt.Sscanf(rest, "route[%d]", &destination); err == nil && destination < len(r.destinations) {
		to := r.destinations[destination]
		return to.from.object.Key, to.backendField(rest)
	}
	annotation := ""
	switch {
	case strings.HasPrefix(rest, "rewrite.authority"):
		annotation = "upstream-vhost"
	case strings.HasPrefix(rest, "rewrite"):
		annotation = "rewrite-target"
	case strings.HasPrefix(rest, "corsPolicy"):
		annotation = "enable-cors"
	case strings.HasPrefix(rest, "retries"):
		annotation = "proxy-next-upstream"
	case strings.HasPrefix(rest, "match[") && strings.Contains(rest, "].") && r.entry.standing == written && strings.HasPrefix(r.entry.field, "rules"):
		return r.entry.from.object.Key, r.entry.field + ".path"
	}
	if annotation != "" {
		return r.entry.from.object.Key, annotationField(annotation)
	}
	return r.entry.from.object.Key, r.entry.field
}

// backendField is where the part of a backend stands that a field of a destination means.
func (e *entry) backendField(field string) string {
	at := e.field
	if strings.HasPrefix(at, "rules") {
		at += ".backend"
	}
	switch {
	case strings.HasSuffix(field, ".port"), strings.HasSuffix(field, ".port.number"):
		return at + ".service.port"
	case strings.HasSuffix(field, ".host"):
		return at + ".service.name"
	}
	return at
}
