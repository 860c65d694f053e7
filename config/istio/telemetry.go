package istio

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

const (
	// ProviderNotFound: a Telemetry names a provider that the mesh's configuration does not
	// have.
	ProviderNotFound config.Reason = "ProviderNotFound"
	// ProviderNotServed: a provider speaks to something that this version does not.
	ProviderNotServed config.Reason = "ProviderNotServed"
	// TelemetryShadowed: an older Telemetry is in force for the same workloads.
	TelemetryShadowed config.Reason = "TelemetryShadowed"
	// TelemetryInvalid: an expression or a format does not compile.
	TelemetryInvalid config.Reason = "TelemetryInvalid"
	// TelemetryNotServed: a part of a Telemetry, or of the mesh's configuration, that this
	// version accepts and does without.
	TelemetryNotServed config.Reason = "TelemetryNotServed"
)

// telemetryObject is one Telemetry in force.
type telemetryObject struct {
	object *config.Object
	spec   *telemetry.Telemetry
}

// telemetries are the Telemetry objects and the mesh's configuration, and what they come to
// for this proxy.
type telemetries struct {
	options Options
	objects map[config.Key]*telemetryObject
	mesh    *meshConfig
	changed bool
	built   *router.Telemetry
	// uses are the clusters that collectors are reached by.
	uses map[clusterKey]struct{}
}

func newTelemetries(o Options) *telemetries {
	return &telemetries{options: o, objects: map[config.Key]*telemetryObject{}, mesh: newMeshConfig(nil, nil, o.LookupEnv), uses: map[clusterKey]struct{}{}}
}

// set takes a Telemetry; nil where it is gone. It returns the one that was there.
func (t *telemetries) set(key config.Key, o *telemetryObject) *telemetryObject {
	old := t.objects[key]
	if o == nil {
		delete(t.objects, key)
	} else {
		t.objects[key] = o
	}
	t.changed = true
	return old
}

// settle works out anew what is told of the traffic where that may have changed. It returns the
// conditions of each object that it looked at; nil where there was nothing to do.
func (t *telemetries) settle(clusters *clusters) map[any][]config.Condition {
	if !t.changed {
		return nil
	}
	t.changed = false
	inForce := t.inForce()
	found := t.judge(inForce)
	next := &router.Telemetry{Outbound: t.policy(inForce, telemetry.WorkloadMode_CLIENT)}
	if t.options.Role == Sidecar {
		next.Inbound = t.policy(inForce, telemetry.WorkloadMode_SERVER)
	}
	if reflect.DeepEqual(*next, router.Telemetry{}) {
		next = nil
	}
	if !reflect.DeepEqual(t.built, next) {
		t.built = next
	}
	t.follow(clusters)
	t.check(found)
	return found
}

// check adds what does not compile to the conditions of the objects that say it.
func (t *telemetries) check(found map[any][]config.Condition) {
	if t.options.CheckTelemetry == nil {
		return
	}
	problems := t.options.CheckTelemetry(t.built)
	if t.options.AllGateways {
		problems = t.checkEach()
	}
	for _, p := range problems {
		if t.mesh.object != nil && p.Origin.Kind == t.mesh.object.Kind {
			field := strings.TrimPrefix(p.Origin.Field, "data.mesh.")
			found[t.mesh] = append(found[t.mesh], t.mesh.condition(config.Error, TelemetryInvalid, field, p.Message))
			continue
		}
		for _, o := range t.objects {
			if o.object.Namespace == p.Origin.Namespace && o.object.Name == p.Origin.Name {
				found[o] = append(found[o], newCondition(config.Error, TelemetryInvalid, o.object, p.Origin.Field, p.Message))
			}
		}
	}
}

// checkEach checks every Telemetry, whichever proxies it is for.
func (t *telemetries) checkEach() (problems []router.TelemetryProblem) {
	alone := [][]*telemetryObject{nil}
	for _, o := range t.objects {
		alone = append(alone, []*telemetryObject{o})
	}
	for _, inForce := range alone {
		for _, p := range t.options.CheckTelemetry(&router.Telemetry{
			Outbound: t.policy(inForce, telemetry.WorkloadMode_CLIENT),
			Inbound:  t.policy(inForce, telemetry.WorkloadMode_SERVER),
		}) {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// policy is what is told of one direction.
func (t *telemetries) policy(inForce []*telemetryObject, mode telemetry.WorkloadMode) router.TelemetryPolicy {
	p := router.TelemetryPolicy{Metrics: t.metrics(inForce, mode), Tracing: t.tracing(inForce, mode)}
	p.AccessLogs, p.LogsDecided = t.logs(inForce, mode)
	return p
}

// inForce are the Telemetries that hold for this proxy, the most general first: that of the
// root namespace, that of its own namespace, and that which selects it; of several of a sort
// the oldest.
func (t *telemetries) inForce() []*telemetryObject {
	var best [3]*telemetryObject
	for _, o := range t.objects {
		level := t.level(o)
		if level >= 0 && (best[level] == nil || ageOf(o.object).compare(ageOf(best[level].object)) < 0) {
			best[level] = o
		}
	}
	var out []*telemetryObject
	for _, o := range best {
		if o != nil {
			out = append(out, o)
		}
	}
	return out
}

// level is an object's place among those in force, -1 where it is not for this proxy.
func (t *telemetries) level(o *telemetryObject) int {
	selector := o.spec.GetSelector().GetMatchLabels()
	switch {
	case o.spec.TargetRef != nil || len(o.spec.TargetRefs) > 0:
		return -1
	case len(selector) > 0:
		if o.object.Namespace == t.options.Namespace && selects(selector, t.options.Labels) {
			return 2
		}
	case o.object.Namespace == t.options.RootNamespace:
		return 0
	case o.object.Namespace == t.options.Namespace:
		return 1
	}
	return -1
}

// judge says what is wrong with the objects, and with the mesh's configuration.
func (t *telemetries) judge(inForce []*telemetryObject) map[any][]config.Condition {
	found := map[any][]config.Condition{t.mesh: t.mesh.judge()}
	for _, o := range t.objects {
		j := telemetryJudge{telemetries: t, object: o.object}
		j.targets(o.spec)
		if level := t.level(o); level >= 0 {
			for _, other := range inForce {
				if other != o && t.level(other) == level {
					j.note(config.Warning, TelemetryShadowed, "selector", fmt.Sprintf("%s is older and for the same workloads, so this one has no effect: make one of them", other.object.Key))
				}
			}
		}
		j.spec(o.spec)
		found[o] = j.found
	}
	return found
}

// follow has the clusters that collectors are reached by exist.
func (t *telemetries) follow(clusters *clusters) {
	wanted := map[clusterKey]struct{}{}
	if t.built != nil {
		for _, p := range []*router.TelemetryPolicy{&t.built.Outbound, &t.built.Inbound} {
			for _, log := range p.AccessLogs {
				t.mesh.collector(wanted, log.OTLP)
			}
			if p.Tracing != nil {
				t.mesh.collector(wanted, p.Tracing.OTLP)
			}
		}
	}
	for key := range t.uses {
		if _, still := wanted[key]; !still {
			clusters.use(key, -1)
		}
	}
	for key := range wanted {
		if _, already := t.uses[key]; !already {
			clusters.use(key, 1)
		}
	}
	t.uses = wanted
}

// inMode tells whether an entry for a mode counts for another.
func inMode(of, mode telemetry.WorkloadMode) bool {
	return of == telemetry.WorkloadMode_CLIENT_AND_SERVER || of == mode
}

// providerNames are the names of a list.
func providerNames(list []*telemetry.ProviderRef) []string {
	var names []string
	for _, p := range list {
		names = append(names, p.GetName())
	}
	return names
}
