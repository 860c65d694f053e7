package istio_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// printTelemetry writes what is told of the traffic, without zero values.
func printTelemetry(b *strings.Builder, t *router.Telemetry) {
	for _, d := range []struct {
		name   string
		policy router.TelemetryPolicy
	}{{"outbound", t.Outbound}, {"inbound", t.Inbound}} {
		if reflect.ValueOf(d.policy).IsZero() {
			continue
		}
		fmt.Fprintf(b, "telemetry %s\n", d.name)
		if d.policy.LogsDecided && len(d.policy.AccessLogs) == 0 {
			b.WriteString("  no logs\n")
		}
		for _, l := range d.policy.AccessLogs {
			fmt.Fprintf(b, "  log%s\n", printed(l))
		}
		for _, m := range d.policy.Metrics {
			fmt.Fprintf(b, "  metric%s\n", printed(m))
		}
		if d.policy.Tracing != nil {
			fmt.Fprintf(b, "  tracing%s\n", printed(*d.policy.Tracing))
		}
	}
}

// printed is a struct on one line, without its zero values.
func printed(v any) string {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() == reflect.Slice {
		var items []string
		for i := range value.Len() {
			items = append(items, strings.TrimSpace(printed(value.Index(i).Interface())))
		}
		return "[" + strings.Join(items, "; ") + "]"
	}
	if o, ok := value.Interface().(router.Origin); ok {
		return origin(o)
	}
	if value.Kind() != reflect.Struct {
		return fmt.Sprintf("%q", fmt.Sprint(value.Interface()))
	}
	var b strings.Builder
	for i := range value.NumField() {
		if f := value.Field(i); !f.IsZero() {
			text := printed(f.Interface())
			if f.Kind() == reflect.Pointer {
				text = "{" + strings.TrimSpace(text) + "}"
			}
			fmt.Fprintf(&b, " %s=%s", value.Type().Field(i).Name, text)
		}
	}
	return b.String()
}

// TestTelemetryKept: what did not change keeps its pointer, and what goes leaves nothing.
func TestTelemetryKept(t *testing.T) {
	t.Parallel()
	objects := parse(t, `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: envoy}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /var/log/mesh.log
`)
	c := istio.NewCompiler(istio.Options{})
	first := c.Apply(config.Delta{Set: objects}).Spec.Telemetry
	if first == nil || first.Outbound.AccessLogs[0].File != "/dev/stdout" {
		t.Fatalf("got %+v", first)
	}
	other := parse(t, `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: elsewhere, namespace: shop}
spec: {accessLogging: [{disabled: true}]}
`)
	if again := c.Apply(config.Delta{Set: other}).Spec.Telemetry; again != first {
		t.Errorf("another namespace's Telemetry made %+v of it", again)
	}
	if legacy := c.Apply(config.Delta{Removed: []config.Key{objects[0].Key}}).Spec.Telemetry; legacy.Outbound.AccessLogs[0].File != "/var/log/mesh.log" {
		t.Errorf("without the Telemetry: %+v", legacy)
	}
	if none := c.Apply(config.Delta{Removed: []config.Key{objects[1].Key}}).Spec.Telemetry; none != nil {
		t.Errorf("without anything: %+v", none)
	}
}

// TestTelemetryChecked: what does not compile is a condition of the object that says it, with
// its file and line; for whoever judges a folder, of Telemetries for others too.
func TestTelemetryChecked(t *testing.T) {
	t.Parallel()
	objects := parse(t, `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  accessLogging:
  - providers: [{name: envoy}]
    filter:
      expression: wrong
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: shop, namespace: shop}
spec: {accessLogging: [{providers: [{name: envoy}], filter: {expression: wrong}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    rootNamespace: istio-system
    accessLogFormat: wrong
    accessLogFile: /dev/stdout
`)
	check := func(plan *router.Telemetry) (found []router.TelemetryProblem) {
		for _, l := range plan.Outbound.AccessLogs {
			if l.Filter == "wrong" {
				at := l.Origin
				at.Field += ".filter.expression"
				found = append(found, router.TelemetryProblem{Origin: at, Message: "filter"})
			}
			if l.Text == "wrong" && l.Provider == "" {
				found = append(found, router.TelemetryProblem{Origin: l.Origin, Message: "format"})
			}
		}
		return found
	}
	lines := func(all bool) (lines []string) {
		r := istio.NewCompiler(istio.Options{AllGateways: all, CheckTelemetry: check}).Apply(config.Delta{Set: objects})
		for _, c := range r.Conditions {
			if c.Reason == istio.TelemetryInvalid {
				lines = append(lines, fmt.Sprintf("%d %s %s: %s", c.Line, c.Object.Name, c.Field, c.Message))
			}
		}
		return lines
	}
	of := []string{"9 mesh accessLogging[0].filter.expression: filter"}
	if got := lines(false); !reflect.DeepEqual(got, of) {
		t.Errorf("for a gateway: %q", got)
	}
	of = []string{"22 istio data.mesh.accessLogFormat: format", of[0], "14 shop accessLogging[0].filter.expression: filter"}
	if got := lines(true); !reflect.DeepEqual(got, of) {
		t.Errorf("for all: %q", got)
	}
}
