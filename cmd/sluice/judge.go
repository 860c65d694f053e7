package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
)

// view is a proxy to compile for, and which of the conditions count that it gives.
type view struct {
	istio.Options
	counts func(config.Condition) bool
}

// views are the proxies to compile for, so that everything that is wrong between
// objects shows.
func (s source) views() []view {
	return append(s.gatewayViews(), s.sidecarViews()...)
}

// gatewayViews are one gateway that all Gateways select, and where they select
// different workloads one for each of these: Gateways of different workloads are not
// in each other's way.
func (s source) gatewayViews() []view {
	all := view{istio.Options{Role: istio.Gateway, AllGateways: true}, func(config.Condition) bool { return true }}
	selectors := s.selectors()
	if len(selectors) < 2 {
		return []view{all}
	}
	all.counts = func(c config.Condition) bool { return !betweenGateways(c) }
	views := []view{all}
	for _, labels := range selectors {
		views = append(views, view{istio.Options{Role: istio.Gateway, Labels: labels}, betweenGateways})
	}
	return views
}

// betweenGateways tells conditions that depend on which Gateways share a workload.
func betweenGateways(c config.Condition) bool {
	return c.Reason == istio.ServerConflict || c.Reason == istio.UnreachableRule
}

// selectors returns the different selectors of the Gateways, but for the empty one,
// which selects all workloads.
func (s source) selectors() []map[string]string {
	var found []map[string]string
	for _, o := range s.objects {
		if o.Kind != "Gateway" {
			continue
		}
		typed, _ := decode.Decode(o.Opened())
		gateway, ok := typed.(*resource.Gateway)
		if !ok || len(gateway.Spec.Selector) == 0 {
			continue
		}
		same := func(other map[string]string) bool { return maps.Equal(other, gateway.Spec.Selector) }
		if !slices.ContainsFunc(found, same) {
			found = append(found, gateway.Spec.Selector)
		}
	}
	return found
}

// sidecarViews are a sidecar in default, which stands for all namespaces but those
// where something is not exported or a Sidecar limits what is seen.
func (s source) sidecarViews() []view {
	namespaces := map[string]bool{"default": true}
	for _, o := range s.objects {
		if o.Namespace != "" && (o.Kind == "Sidecar" || bytes.Contains(o.Text(), []byte("exportTo"))) {
			namespaces[o.Namespace] = true
		}
	}
	var views []view
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		views = append(views, view{
			istio.Options{Role: istio.Sidecar, Namespace: namespace},
			func(config.Condition) bool { return true },
		})
	}
	return views
}

// allConditions returns what is wrong with the objects for any of the views.
func (s source) allConditions() []config.Condition {
	all := slices.Clone(s.conditions)
	for _, v := range s.views() {
		result := s.compile(v.Options)
		_, problems := router.Build(result.Spec, nil)
		found := slices.Concat(result.Conditions, s.notRoutable(problems), s.shadowed(result.Spec))
		for _, c := range found {
			if v.counts(c) {
				all = append(all, c)
			}
		}
	}
	absent := newAbsences(s.objects, all)
	for i := range all {
		all[i].Severity = absent.judge(all[i])
	}
	return append(all, s.references().missing(all)...)
}

// notRoutable says where the router's problems stand.
func (s source) notRoutable(problems []router.Problem) []config.Condition {
	conditions := make([]config.Condition, len(problems))
	for i, p := range problems {
		conditions[i] = s.condition(p.Origin, config.Error, pipeline.ReasonNotRoutable)
		conditions[i].Message = p.Message
	}
	return conditions
}

// condition returns one about the field that an origin names, without its message.
func (s source) condition(origin router.Origin, severity config.Severity, reason config.Reason) config.Condition {
	c := config.Condition{
		Severity: severity, Reason: reason, Field: origin.Field,
		Object: config.Key{Kind: origin.Kind, Namespace: origin.Namespace, Name: origin.Name},
	}
	if o := s.objectOf(origin); o != nil {
		c.Object, c.File, c.Line = o.Key, o.File, o.Locate(origin.Field)
	}
	return c
}

// absences tells which references lead out of what was given, and may well be
// fulfilled elsewhere.
type absences struct {
	// gateways: there are Gateways among the objects.
	gateways bool
	// hosts are the fields whose service is not among the objects.
	hosts map[config.Key]map[string]bool
}

func newAbsences(objects []*config.Object, conditions []config.Condition) absences {
	a := absences{hosts: map[config.Key]map[string]bool{}}
	a.gateways = slices.ContainsFunc(objects, func(o *config.Object) bool { return o.Kind == "Gateway" })
	for _, c := range conditions {
		if c.Reason != istio.ServiceNotFound {
			continue
		}
		if a.hosts[c.Object] == nil {
			a.hosts[c.Object] = map[string]bool{}
		}
		a.hosts[c.Object][destinationField(c.Field)] = true
	}
	return a
}

// judge returns how bad a condition is for somebody who checks files, which may be
// a part only of what a proxy sees. For that proxy a missing service is an Error.
func (a absences) judge(c config.Condition) config.Severity {
	outside := false
	switch c.Reason {
	case istio.ServiceNotFound, istio.DelegateNotFound:
		outside = true
	case istio.GatewayNotFound:
		outside = !a.gateways
	case istio.SubsetNotFound, istio.PortNotFound:
		outside = a.hosts[c.Object][destinationField(c.Field)]
	}
	if outside && c.Severity == config.Error {
		return config.Warning
	}
	return c.Severity
}

// destinationField cuts "http[0].route[0].destination.host" after "destination".
func destinationField(field string) string {
	for _, leaf := range []string{".host", ".subset", ".port.number", ".port"} {
		if cut, ok := strings.CutSuffix(field, leaf); ok {
			return cut
		}
	}
	return field
}
