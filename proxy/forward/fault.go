package forward

import (
	"net/http"
	"strconv"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// injectFault does what the route's fault policy says, and tells whether that answered the
// exchange. A delay holds no thread, and ends when the client goes away.
func (e *Engine) injectFault(ex *proxy.Exchange, down proxy.Downstream) bool {
	f := ex.Decision.Route.Fault
	if f.Delay > 0 && f.DelayFraction.Takes(e.options.Random()) {
		ex.Flags |= proxy.FlagDelayInjected
		if !proxy.Wait(down, f.Delay) {
			e.lost(ex)
			return true
		}
	}
	if (f.AbortStatus == 0 && !f.HasGRPC) || !f.AbortFraction.Takes(e.options.Random()) {
		return false
	}
	e.addForwarding(ex)
	ex.Flags |= proxy.FlagFaultInjected
	r := reply{status: f.AbortStatus, details: "fault_filter_abort", body: "fault filter abort\n"}
	if f.HasGRPC {
		// A gRPC client reads its status from a response without a body.
		r = reply{status: http.StatusOK, details: r.details, header: router.Header{Name: "grpc-status", Value: strconv.Itoa(f.GRPCStatus)}}
	}
	e.reply(ex, down, r)
	return true
}
