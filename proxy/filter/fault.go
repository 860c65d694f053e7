package filter

import (
	"net/http"
	"strconv"
	"strings"
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
	grpc := isGRPC(ex)
	status := f.GRPCStatus
	switch {
	case f.HasGRPC:
		r.Status = http.StatusOK
	case grpc:
		r.Status, status = http.StatusOK, grpcStatus(f.AbortStatus)
	}
	if grpc || f.HasGRPC {
		at := len(ex.Scratch)
		ex.Scratch = strconv.AppendInt(ex.Scratch, int64(status), 10)
		r.Headers = append(r.Headers, router.Header{Name: "grpc-status", Value: ex.KeptFrom(at)})
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

// isGRPC tells whether the request is a gRPC call, by its content type.
func isGRPC(ex *proxy.Exchange) bool {
	value, _ := ex.Request.Header("content-type")
	rest, ok := strings.CutPrefix(value, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// grpcStatus returns what an HTTP status means to a gRPC client (gRPC's document
// "HTTP to gRPC Status Code Mapping").
func grpcStatus(status int) int {
	switch status {
	case http.StatusBadRequest:
		return 13 // INTERNAL
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	case http.StatusNotFound:
		return 12 // UNIMPLEMENTED
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}
