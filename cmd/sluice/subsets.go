package main

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// missingSubsets looks at the destinations whose service is not among the objects,
// at which compiling stops: a DestinationRule that is there shows all the same
// whether the subset exists.
func (s source) missingSubsets(absent absences) []config.Condition {
	subsets := s.subsets()
	var found []config.Condition
	for _, o := range s.objects {
		typed, _ := decode.Decode(o)
		service, ok := typed.(*networkingv1.VirtualService)
		if !ok {
			continue
		}
		for i, rule := range service.Spec.Http {
			for j, route := range rule.Route {
				field := fmt.Sprintf("http[%d].route[%d].destination", i, j)
				subset := route.GetDestination().GetSubset()
				host := fullName(route.GetDestination().GetHost(), o.Namespace)
				names, known := subsets[host]
				if subset == "" || !known || !absent.hosts[o.Key][field] || slices.Contains(names, subset) {
					continue
				}
				found = append(found, config.Condition{
					Severity: config.Error, Reason: istio.SubsetNotFound, Object: o.Key, Field: field + ".subset",
					Message: fmt.Sprintf("%q: no DestinationRule for %s has that subset (there are %s)", subset, host, strings.Join(names, ", ")),
					File:    o.File, Line: o.Locate(field + ".subset"),
				})
			}
		}
	}
	return found
}

// subsets returns the names of the subsets of each host that has a DestinationRule.
func (s source) subsets() map[string][]string {
	names := map[string][]string{}
	for _, o := range s.objects {
		typed, _ := decode.Decode(o)
		rule, ok := typed.(*networkingv1.DestinationRule)
		if !ok {
			continue
		}
		host := fullName(rule.Spec.Host, o.Namespace)
		names[host] = append(names[host], nil...)
		for _, subset := range rule.Spec.Subsets {
			names[host] = append(names[host], subset.GetName())
		}
	}
	return names
}

// fullName completes a short name, as Kubernetes would in the object's namespace.
func fullName(host, namespace string) string {
	if strings.Contains(host, ".") {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}
