package istio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/router"
)

// RoutePolicies is the annotation of a VirtualService that says what Istio's API has no words
// for: by the names of its HTTP rules, as JSON, a [RoutePolicy] each. Gateways heed it.
const RoutePolicies = "sluice.dev/route-policies"

// BadRoutePolicy: the annotation cannot be read, or is for a rule that there is not. As it
// restricts who may come in, the VirtualService is not in force then.
const BadRoutePolicy config.Reason = "BadRoutePolicy"

// RoutePolicy is what a rule asks of its requests.
type RoutePolicy struct {
	// Allow lets only clients of these ranges in, where there are any; Deny keeps those of
	// others out. They are answered 403.
	Allow []netip.Prefix `json:"allow,omitempty"`
	Deny  []netip.Prefix `json:"deny,omitempty"`
	// MaxRequestBody bounds the bytes of a request's body; more is answered 413. 0 means none.
	MaxRequestBody int64 `json:"maxRequestBody,omitempty"`
	// Limits bound what each client may ask for; more is answered 503.
	Limits []RouteLimit `json:"limits,omitempty"`
	// IdleTimeout bounds how long nothing may move in an exchange, or through what it was
	// upgraded to; 0 leaves that to the gateway.
	IdleTimeout kube.Duration `json:"idleTimeout,omitzero"`
}

// Empty says whether the policy asks for nothing.
func (p RoutePolicy) Empty() bool {
	return len(p.Allow)+len(p.Deny)+len(p.Limits) == 0 && p.MaxRequestBody == 0 && p.IdleTimeout.Duration == 0
}

// sources are the policy's for a route; nil for all clients.
func (p RoutePolicy) sources() *router.Sources {
	if len(p.Allow)+len(p.Deny) == 0 {
		return nil
	}
	return &router.Sources{Allow: p.Allow, Deny: p.Deny}
}

// problem says what makes no sense; empty where nothing does.
func (p RoutePolicy) problem() string {
	switch {
	case p.MaxRequestBody < 0:
		return "maxRequestBody must not be negative"
	case p.IdleTimeout.Duration < 0:
		return "idleTimeout must not be negative"
	case len(p.Limits) > router.MaxLimits:
		return fmt.Sprintf("limits: there may be %d", router.MaxLimits)
	}
	for i, l := range p.Limits {
		if problem := l.problem(); problem != "" {
			return fmt.Sprintf("limits[%d]: %s", i, problem)
		}
	}
	return ""
}

// routePolicies reads a VirtualService's annotation: the policies of its rules, by their paths,
// such as "http[2]", and what is wrong with it.
func routePolicies(o *config.Object, v *resource.VirtualService) (map[string]RoutePolicy, []config.Condition) {
	text, ok := o.Annotations[RoutePolicies]
	if !ok {
		return nil, nil
	}
	field := "metadata.annotations[" + RoutePolicies + "]"
	fail := func(format string, args ...any) []config.Condition {
		return []config.Condition{newCondition(config.Error, BadRoutePolicy, o, field, fmt.Sprintf(format, args...))}
	}
	var byName map[string]RoutePolicy
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&byName); err != nil || decoder.More() {
		return nil, fail(`must map names of rules to policies, such as {"main": {"allow": ["10.0.0.0/8"], "maxRequestBody": 1000000}}: %v`, err)
	}
	out := map[string]RoutePolicy{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		p, found := byName[name], false
		if problem := p.problem(); problem != "" {
			return nil, fail("%q: %s", name, problem)
		}
		for i, r := range v.Spec.Http {
			if name == "" || r.Name != name {
				continue
			}
			if r.Delegate != nil {
				return nil, fail("%q: http[%d] delegates to another VirtualService: write the policy there", name, i)
			}
			out[fmt.Sprintf("http[%d]", i)], found = p, true
		}
		if !found {
			return nil, fail("%q: no HTTP rule has that name", name)
		}
	}
	return out, nil
}

// policyOf is the policy of a rule, as the VirtualService says where it is written.
func (c *Compiler) policyOf(r rule) RoutePolicy {
	if c.gateway == nil || r.object.Annotations[RoutePolicies] == "" {
		return RoutePolicy{}
	}
	v := c.virtualService(objectName{r.object.Namespace, r.object.Name})
	if v == nil {
		return RoutePolicy{}
	}
	return c.open(v).policies[r.field]
}
