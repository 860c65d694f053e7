package filter

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Fault decides what a fault policy does to one request: after delay, which is 0 for none,
// it is answered with [AbortResponse] where abort says so. Both are drawn for by themselves,
// the delay first; what has a share of 0 draws nothing.
func Fault(f *router.Fault, random func() uint64) (delay time.Duration, abort bool) {
	if f.Delay > 0 && falls(f.DelayFraction, random) {
		delay = f.Delay
	}
	return delay, (f.AbortStatus != 0 || f.HasGRPC) && falls(f.AbortFraction, random)
}

func falls(share router.Fraction, random func() uint64) bool {
	return share > 0 && (share >= router.AllTraffic || share.Takes(random()))
}

const (
	abortDetails = "fault_filter_abort"
	abortBody    = "fault filter abort"
)

// AbortResponse makes the answer to a request that a fault policy aborts, and notes it in the
// exchange: flag FI, and the details that Envoy gives. It returns the answer's body.
//
// A gRPC caller gets a response without body whose grpc-status says what is wrong: that of
// the policy, or the one that its HTTP status stands for. Another caller gets the HTTP
// status, which is 200 for a policy with a gRPC status, as in Envoy, and that status with it.
func AbortResponse(ex *proxy.Exchange, f *router.Fault, r *proxy.Response) (body []byte) {
	ex.Flags |= proxy.FlagFaultInjected
	ex.Details = abortDetails
	*r = proxy.Response{Status: f.AbortStatus, Headers: ex.LocalHeaders()}
	contentType, _ := ex.Request.Header("content-type")
	grpc := proxy.IsGRPC(contentType)
	if grpc || f.HasGRPC {
		r.Status = http.StatusOK
		status := proxy.GRPCStatusOf(f.AbortStatus)
		if f.HasGRPC {
			at := len(ex.Scratch)
			ex.Scratch = strconv.AppendInt(ex.Scratch, int64(f.GRPCStatus), 10)
			status = ex.KeptFrom(at)
		}
		r.Headers = append(r.Headers, router.Header{Name: "grpc-status", Value: status})
		ex.GRPCStatus = proxy.GRPCStatus(r.Headers)
	}
	if grpc {
		r.Headers = append(r.Headers, router.Header{Name: "grpc-message", Value: abortBody},
			router.Header{Name: "content-type", Value: "application/grpc"})
		return nil
	}
	r.Headers = append(r.Headers, router.Header{Name: "content-type", Value: "text/plain"})
	body = []byte(abortBody)
	r.DeclaredLength = int64(len(body))
	r.Body = proxy.Body{Kind: proxy.BodyLength, Length: r.DeclaredLength}
	return body
}
