package forward

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
)

// injectFault does what the route's fault policy says, and tells whether that ended the
// exchange. A delay holds no thread, and ends when the client goes away.
func (e *Engine) injectFault(ex *proxy.Exchange, down proxy.Downstream) bool {
	f := ex.Decision.Route.Fault
	delay, abort := filter.Fault(f, e.options.Random)
	if delay > 0 {
		ex.Flags |= proxy.FlagDelayInjected
		if !proxy.Wait(down, delay) {
			e.lost(ex)
			return true
		}
	}
	if !abort {
		return false
	}
	e.respond(ex, down, filter.AbortResponse(ex, f, &ex.Reply))
	return true
}
