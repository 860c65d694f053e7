package telemetry

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestCheck: what does not compile is told, once, with the field.
func TestCheck(t *testing.T) {
	t.Parallel()
	at := router.Origin{Kind: "Telemetry", Namespace: "shop", Name: "t", Field: "accessLogging[0]"}
	good := router.TelemetryPolicy{
		AccessLogs: []router.AccessLog{{Text: "%RESPONSE_CODE%\n", Filter: "response.code >= 500", Origin: at}},
		Metrics:    []router.MetricOverride{{Tags: []router.TagOverride{{Name: "m", Value: "request.method"}, {Name: "gone", Remove: true}}}},
		Tracing:    &router.Tracing{Tags: []router.SpanTag{{Name: "c", Formatter: "%RESPONSE_CODE%"}, {Name: "l", Literal: "%nothing"}}},
	}
	bad := router.TelemetryPolicy{
		AccessLogs: []router.AccessLog{{Text: "%WHAT%", Filter: "response.code >=", Origin: at}, {Fields: []router.LogField{{Name: "a", Text: "%WHO%"}}}},
		Metrics:    []router.MetricOverride{{Tags: []router.TagOverride{{Name: "m", Value: "request.nothing("}, {Name: "le", Value: "request.method"}}, Origin: at}},
		Tracing:    &router.Tracing{Tags: []router.SpanTag{{Name: "c", Formatter: "%HOW%"}}, Origin: at},
	}
	if found := Check(&router.Telemetry{Outbound: good, Inbound: good}); len(found) > 0 {
		t.Errorf("of good ones: %+v", found)
	}
	if found := Check(nil); found != nil {
		t.Errorf("of none: %+v", found)
	}
	found := Check(&router.Telemetry{Outbound: bad, Inbound: bad})
	for _, want := range []struct{ field, message string }{
		{"accessLogging[0].filter.expression", "nothing is logged"},
		{"accessLogging[0]", "%WHAT%"},
		{"", "%WHO%"},
		{"accessLogging[0].tagOverrides[m].value", "left as it is"},
		{"accessLogging[0].tagOverrides[le]", "the tag is left out"},
		{"accessLogging[0].customTags[c].formatter.value", "%HOW%"},
	} {
		n := 0
		for _, p := range found {
			if p.Origin.Field == want.field && strings.Contains(p.Message, want.message) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of %q at %q in %+v", n, want.message, want.field, found)
		}
	}
	if len(found) != 6 {
		t.Errorf("%d problems: %+v", len(found), found)
	}
}
