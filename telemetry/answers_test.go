package telemetry

import (
	"fmt"
	"maps"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// What a CORS policy made of requests is counted on its routes alone.
func TestCORSCounts(t *testing.T) {
	t.Parallel()
	from := func(origin string, route *router.CompiledRoute, allowed, details string) *proxy.Exchange {
		ex := &proxy.Exchange{AllowedOrigin: allowed, Details: details, Status: 200}
		ex.Request.Headers = []router.Header{{Name: "origin", Value: origin}}
		ex.Decision.Route = route
		return ex
	}
	with := &router.CompiledRoute{Handling: &router.Handling{Configured: router.Configured{RoutePolicy: &router.RoutePolicy{CORS: &router.CORS{}}}}}
	without := &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}, RoutePolicy: &router.RoutePolicy{}}}}
	m := newAnswerMetrics(1)
	for _, ex := range []*proxy.Exchange{
		from("https://a", with, "https://a", "via_upstream"),
		from("https://a", with, "https://a", "cors_response"),
		from("https://b", with, "", "via_upstream"),
		from("https://b", with, "", "via_upstream"),
		from("", with, "", "via_upstream"),
		from("https://a", without, "", "via_upstream"),
		from("https://a", nil, "", "route_not_found"),
	} {
		m.record(0, ex)
	}
	want := map[answerKey]uint64{{reason: "allowed", cors: true}: 1, {reason: "refused", cors: true}: 2, {reason: "preflight", cors: true}: 1}
	if got := m.shards[0].counts; !maps.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
}

// What is told of refusals is bounded, whatever the reasons are, and nothing is left uncounted.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	m := newAnswerMetrics(1)
	const n = maxAnswers + 500
	for i := range n {
		m.record(0, &proxy.Exchange{Flags: proxy.FlagDownstreamProtocolError, Details: fmt.Sprint("reason ", i)})
	}
	if got := len(m.shards[0].counts); got != maxAnswers+1 {
		t.Errorf("%d reasons, want %d", got, maxAnswers+1)
	}
	if got := m.shards[0].counts[answerKey{other, other, false}]; got != 500 {
		t.Errorf("%d other requests, want 500", got)
	}
}
