package istio

import (
	"fmt"
	"slices"
	"strings"

	meshv1 "istio.io/api/mesh/v1alpha1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// telemetryJudge gathers what is wrong with one Telemetry.
type telemetryJudge struct {
	*telemetries
	object *config.Object
	found  []config.Condition
}

func (j *telemetryJudge) note(severity config.Severity, reason config.Reason, field, message string) {
	j.found = append(j.found, newCondition(severity, reason, j.object, field, message))
}

func (j *telemetryJudge) targets(spec *telemetry.Telemetry) {
	for field, there := range map[string]bool{"targetRef": spec.TargetRef != nil, "targetRefs": len(spec.TargetRefs) > 0} {
		if there {
			j.note(config.Warning, TelemetryNotServed, field, "the Kubernetes Gateway API is not served, so this has no effect: write selector.matchLabels")
		}
	}
}

func (j *telemetryJudge) spec(spec *telemetry.Telemetry) {
	for i, l := range spec.AccessLogging {
		j.providers(fmt.Sprintf("accessLogging[%d]", i), l.Providers, "access logs", servesLogs)
	}
	for i, m := range spec.Metrics {
		at := fmt.Sprintf("metrics[%d]", i)
		j.providers(at, m.Providers, "metrics", servesMetrics)
		if m.ReportingInterval != nil {
			j.note(config.Info, TelemetryNotServed, at+".reportingInterval", "metrics are always up to date here: the interval has no effect")
		}
		for n, o := range m.Overrides {
			j.override(fmt.Sprintf("%s.overrides[%d]", at, n), o)
		}
	}
	for i, entry := range spec.Tracing {
		at := fmt.Sprintf("tracing[%d]", i)
		j.providers(at, entry.Providers, "spans", servesTracing)
		if len(entry.Providers) > 1 {
			j.note(config.Warning, TelemetryNotServed, at+".providers", "spans go to the first provider only: remove the others")
		}
		if p := entry.RandomSamplingPercentage; p != nil && (p.Value < 0 || p.Value > 100) {
			j.note(config.Warning, TelemetryNotServed, at+".randomSamplingPercentage", fmt.Sprintf("%v is not between 0 and 100: it counts as the nearer of the two", p.Value))
		}
	}
}

// override looks at a change to a metric.
func (j *telemetryJudge) override(at string, o *telemetry.MetricsOverrides) {
	if name := o.GetMatch().GetCustomMetric(); name != "" {
		for _, known := range standardMetrics {
			if known == name {
				return
			}
		}
		j.note(config.Warning, TelemetryNotServed, at+".match.customMetric", fmt.Sprintf("there is no metric %q to change: the standard ones are named by match.metric, such as REQUEST_COUNT", name))
	}
}

// providers looks at the names of providers, each of which must be there and be served.
func (j *telemetryJudge) providers(at string, list []*telemetry.ProviderRef, what string, serves func(*meshv1.MeshConfig_ExtensionProvider) bool) {
	for i, ref := range list {
		field := fmt.Sprintf("%s.providers[%d].name", at, i)
		p := j.mesh.provider(ref.GetName())
		switch {
		case p == nil:
			j.note(config.Error, ProviderNotFound, field, fmt.Sprintf("no provider %q (has %s): add it to extensionProviders in ConfigMap %s/istio", ref.GetName(), strings.Join(j.mesh.providerNames(), ", "), j.options.RootNamespace))
		case !serves(p):
			j.note(config.Warning, ProviderNotServed, field, fmt.Sprintf("provider %q takes no %s here: %s", ref.GetName(), what, instead(what)))
		}
	}
}

func instead(what string) string {
	switch what {
	case "access logs":
		return "write one with envoyFileAccessLog or envoyOtelAls"
	case "spans":
		return "write one with opentelemetry"
	}
	return "write prometheus"
}

func servesLogs(p *meshv1.MeshConfig_ExtensionProvider) bool {
	return p.GetEnvoyFileAccessLog() != nil || p.GetEnvoyOtelAls() != nil
}

func servesMetrics(p *meshv1.MeshConfig_ExtensionProvider) bool { return p.GetPrometheus() != nil }

func servesTracing(p *meshv1.MeshConfig_ExtensionProvider) bool { return p.GetOpentelemetry() != nil }

// judge says what of the mesh's configuration is not served.
func (m *meshConfig) judge() []config.Condition {
	if m.object == nil {
		return nil
	}
	var found []config.Condition
	note := func(severity config.Severity, reason config.Reason, field, message string) {
		found = append(found, m.condition(severity, reason, field, message))
	}
	check := func(kind string, names []string, what string, serves func(*meshv1.MeshConfig_ExtensionProvider) bool) {
		for i, name := range names {
			field := fmt.Sprintf("defaultProviders.%s[%d]", kind, i)
			if p := m.provider(name); p == nil {
				note(config.Error, ProviderNotFound, field, fmt.Sprintf("no provider %q (has %s): add it to extensionProviders", name, strings.Join(m.providerNames(), ", ")))
			} else if !serves(p) {
				note(config.Warning, ProviderNotServed, field, fmt.Sprintf("provider %q takes no %s here: %s", name, what, instead(what)))
			}
		}
	}
	check("accessLogging", m.spec.GetDefaultProviders().GetAccessLogging(), "access logs", servesLogs)
	check("metrics", m.spec.GetDefaultProviders().GetMetrics(), "metrics", servesMetrics)
	check("tracing", m.spec.GetDefaultProviders().GetTracing(), "spans", servesTracing)
	if m.spec.GetEnableTracing() && m.legacyTracer() != "" {
		note(config.Warning, ProviderNotServed, "defaultConfig.tracing."+m.legacyTracer(), "spans are sent by OpenTelemetry only; the headers of traces are passed on. Write an extensionProvider with opentelemetry, and name it in defaultProviders.tracing")
	}
	for _, name := range m.unserved() {
		note(config.Info, TelemetryNotServed, name, "it has no effect here")
	}
	if m.formatError != "" {
		note(config.Error, TelemetryNotServed, "accessLogFormat", m.formatError)
	}
	return found
}

// condition returns one on a field of the configuration, with its line in the text.
func (m *meshConfig) condition(severity config.Severity, reason config.Reason, field, message string) config.Condition {
	c := newCondition(severity, reason, m.object, "data.mesh."+field, message)
	if text := decode.MeshText(m.object); text != nil {
		c.Line = text.Locate(field)
	}
	return c
}

// meshFields are the fields of the mesh's configuration that have an effect here, or that say
// what is so anyway.
var meshFields = []string{
	"accessLogFile", "accessLogFormat", "accessLogEncoding", "enableTracing", "defaultConfig", "extensionProviders", "defaultProviders",
	"rootNamespace", "trustDomain", "enablePrometheusMerge", "enableAutoMtls", "dnsRefreshRate", "ingressControllerMode",
}

// unserved are the fields that are set without effect.
func (m *meshConfig) unserved() []string {
	var names []string
	for _, name := range setFields(m.spec) {
		if !slices.Contains(meshFields, name) {
			names = append(names, name)
		}
	}
	return names
}
