package istio

import (
	"fmt"
	"maps"
	"slices"

	meshv1 "istio.io/api/mesh/v1alpha1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/router"
)

// defaultSampling is the share of requests that become traces where nobody says another, in
// percent (Istio's pilot.traceSampling).
const defaultSampling = 1

// tracing returns which requests of one direction become spans; nil where there is no
// provider. What a more special Telemetry says of a field replaces what a more general one
// said.
func (t *telemetries) tracing(inForce []*telemetryObject, mode telemetry.WorkloadMode) *router.Tracing {
	names := t.mesh.spec.GetDefaultProviders().GetTracing()
	defaults := t.mesh.spec.GetDefaultConfig().GetTracing()
	merged := telemetry.Tracing{}
	var origin router.Origin
	for _, o := range inForce {
		for i, entry := range o.spec.Tracing {
			if !inMode(entry.GetMatch().GetMode(), mode) {
				continue
			}
			if len(entry.Providers) > 0 {
				names = providerNames(entry.Providers)
			}
			origin = originOf(o.object, fmt.Sprintf("tracing[%d]", i))
			mergeTracing(&merged, entry)
		}
	}
	out := t.mesh.tracer(names)
	if out == nil {
		return nil
	}
	out.Origin, out.Sampling = origin, defaultSampling
	if defaults.GetSampling() > 0 {
		out.Sampling = min(defaults.Sampling, 100)
	}
	if merged.RandomSamplingPercentage != nil {
		out.Sampling = min(max(merged.RandomSamplingPercentage.Value, 0), 100)
	}
	if merged.DisableSpanReporting.GetValue() {
		out.OTLP = nil
	}
	if merged.DisableContextPropagation.GetValue() {
		out.W3C, out.B3 = false, false
	}
	out.SampleAtRandom = merged.UseRequestIdForTraceSampling != nil && !merged.UseRequestIdForTraceSampling.Value
	out.NoIstioTags = noIstioTags(&merged, defaults)
	if out.MaxTagLength == 0 {
		out.MaxTagLength = int(defaults.GetMaxPathTagLength())
	}
	out.Tags = t.spanTags(&merged, defaults)
	return out
}

// mergeTracing lets what an entry says replace what was said before it.
func mergeTracing(into, entry *telemetry.Tracing) {
	if entry.RandomSamplingPercentage != nil {
		into.RandomSamplingPercentage = entry.RandomSamplingPercentage
	}
	if entry.DisableSpanReporting != nil {
		into.DisableSpanReporting = entry.DisableSpanReporting
	}
	if entry.DisableContextPropagation != nil {
		into.DisableContextPropagation = entry.DisableContextPropagation
	}
	if entry.EnableIstioTags != nil {
		into.EnableIstioTags = entry.EnableIstioTags
	}
	if entry.UseRequestIdForTraceSampling != nil {
		into.UseRequestIdForTraceSampling = entry.UseRequestIdForTraceSampling
	}
	if entry.CustomTags != nil {
		into.CustomTags = entry.CustomTags
	}
}

func noIstioTags(t *telemetry.Tracing, defaults *meshv1.Tracing) bool {
	if t.EnableIstioTags != nil {
		return !t.EnableIstioTags.Value
	}
	return defaults.GetEnableIstioTags() != nil && !defaults.EnableIstioTags.Value
}

// spanTags are the tags of the Telemetries, or else those of the mesh.
func (t *telemetries) spanTags(merged *telemetry.Tracing, defaults *meshv1.Tracing) []router.SpanTag {
	var tags []router.SpanTag
	if merged.CustomTags == nil {
		for _, name := range slices.Sorted(maps.Keys(defaults.GetCustomTags())) {
			tag := router.SpanTag{Name: name}
			switch of := defaults.CustomTags[name].GetType().(type) {
			case *meshv1.Tracing_CustomTag_Literal:
				tag.Literal = of.Literal.Value
			case *meshv1.Tracing_CustomTag_Environment:
				tag.Literal = t.environment(of.Environment.Name, of.Environment.DefaultValue)
			case *meshv1.Tracing_CustomTag_Header:
				tag.Header, tag.Default = of.Header.Name, of.Header.DefaultValue
			}
			tags = append(tags, tag)
		}
		return tags
	}
	for _, name := range slices.Sorted(maps.Keys(merged.CustomTags)) {
		tag := router.SpanTag{Name: name}
		switch of := merged.CustomTags[name].GetType().(type) {
		case *telemetry.Tracing_CustomTag_Literal:
			tag.Literal = of.Literal.Value
		case *telemetry.Tracing_CustomTag_Environment:
			tag.Literal = t.environment(of.Environment.Name, of.Environment.DefaultValue)
		case *telemetry.Tracing_CustomTag_Header:
			tag.Header, tag.Default = of.Header.Name, of.Header.DefaultValue
		case *telemetry.Tracing_CustomTag_Formatter:
			tag.Formatter = of.Formatter.Value
		}
		tags = append(tags, tag)
	}
	return tags
}

func (t *telemetries) environment(name, fallback string) string {
	if value, ok := t.options.LookupEnv(name); ok {
		return value
	}
	return fallback
}
