package forward

import (
	"net/http"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/router"
)

// limited does what the decision says, where the client is within the route's limits.
func (e *Engine) limited(ex *proxy.Exchange, down proxy.Downstream, snap *snapshot) {
	var held filter.Held
	if !e.limiter.Enter(ex.Decision.Route.Limits, ex.Client, &held) {
		ex.Flags |= proxy.FlagRateLimited
		e.reply(ex, down, reply{status: http.StatusServiceUnavailable, details: "local_rate_limited", body: "503: too many requests\n",
			header: router.Header{Name: "x-envoy-ratelimited", Value: "true"}})
		return
	}
	defer e.limiter.Leave(&held)
	if ex.Decision.Outcome == router.Forward {
		e.forward(ex, down, snap)
		return
	}
	e.answer(ex, down)
}
