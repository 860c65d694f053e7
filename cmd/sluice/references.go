package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// references are what objects name and define. Compiling finds most of what leads
// nowhere; this finds what no compiled proxy comes across: subsets where the service
// is not among the objects or the rule is for other callers, and DestinationRules
// for a host that nobody has.
type references struct {
	// subsets are the names that the DestinationRules of a host define; wildcards
	// the hosts of those that are for many.
	subsets   map[string][]string
	wildcards []string
	// services are the hosts of Services and ServiceEntries.
	services []string
	// used are the subsets that routes name, ruled the DestinationRules' hosts.
	used, ruled []reference
}

// reference is a name in a field of an object.
type reference struct {
	object       *config.Object
	field        string
	host, subset string
}

func (s source) references() references {
	r := references{subsets: map[string][]string{}}
	for _, o := range s.objects {
		typed, _ := decode.Decode(o.Opened())
		switch t := typed.(type) {
		case *kube.Service:
			r.services = append(r.services, fullName(o.Name, o.Namespace))
		case *resource.ServiceEntry:
			r.services = append(r.services, t.Spec.Hosts...)
		case *resource.DestinationRule:
			r.addRule(o, t)
		case *resource.VirtualService:
			for i, rule := range t.Spec.Http {
				for j, route := range rule.Route {
					d := route.GetDestination()
					r.used = append(r.used, reference{o, fmt.Sprintf("http[%d].route[%d].destination.subset", i, j), fullName(d.GetHost(), o.Namespace), d.GetSubset()})
				}
			}
		}
	}
	return r
}

func (r *references) addRule(o *config.Object, rule *resource.DestinationRule) {
	host := fullName(rule.Spec.Host, o.Namespace)
	if strings.HasPrefix(host, "*") {
		r.wildcards = append(r.wildcards, host)
		return
	}
	names := r.subsets[host]
	for _, subset := range rule.Spec.Subsets {
		names = append(names, subset.GetName())
	}
	r.subsets[host] = names
	r.ruled = append(r.ruled, reference{object: o, field: "host", host: host})
}

// missing returns what leads nowhere, but for what is reported already.
func (r references) missing(reported []config.Condition) []config.Condition {
	type place struct {
		object config.Key
		field  string
	}
	known := map[place]bool{}
	for _, c := range reported {
		known[place{c.Object, c.Field}] = true
	}
	var found []config.Condition
	for _, u := range r.used {
		names, ruled := r.subsets[u.host]
		if u.subset == "" || !ruled || slices.Contains(names, u.subset) || covered(u.host, r.wildcards) || known[place{u.object.Key, u.field}] {
			continue
		}
		found = append(found, u.condition(config.Error, istio.SubsetNotFound,
			fmt.Sprintf("%q: no DestinationRule for %s has that subset (there are: %s)", u.subset, u.host, orDash(strings.Join(names, ", ")))))
	}
	if len(r.services) == 0 {
		return found // services are elsewhere, all of them
	}
	for _, u := range r.ruled {
		if !slices.Contains(r.services, u.host) && !covered(u.host, r.services) && !known[place{u.object.Key, u.field}] {
			found = append(found, u.condition(config.Warning, istio.ServiceNotFound,
				fmt.Sprintf("%q: no such Service or ServiceEntry; nothing uses this object. Correct the name, or write that of a service in another namespace in full", u.host)))
		}
	}
	return found
}

func (u reference) condition(severity config.Severity, reason config.Reason, message string) config.Condition {
	return config.Condition{
		Severity: severity, Reason: reason, Object: u.object.Key, Field: u.field, Message: message,
		File: u.object.File, Line: u.object.Locate(u.field),
	}
}

// covered says whether one of the hosts is a wildcard that host falls under.
func covered(host string, hosts []string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool {
		suffix, wild := strings.CutPrefix(h, "*")
		return wild && strings.HasSuffix(host, suffix)
	})
}

// fullName completes a short name, as Kubernetes would in the object's namespace.
func fullName(host, namespace string) string {
	host = strings.ToLower(host)
	if strings.Contains(host, ".") || strings.HasPrefix(host, "*") {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}
