package filter

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Fractions are exact to a millionth, and what cannot happen draws no random number.
func TestFault(t *testing.T) {
	t.Parallel()
	const d = time.Second
	for name, test := range map[string]struct {
		fault  router.Fault
		random []uint64
		delay  time.Duration
		abort  bool
	}{
		"none":                   {router.Fault{Delay: d, AbortStatus: 500}, nil, 0, false},
		"all":                    {router.Fault{Delay: d, DelayFraction: router.AllTraffic, AbortStatus: 500, AbortFraction: router.AllTraffic}, nil, d, true},
		"0.0001 %, hit":          {router.Fault{Delay: d, DelayFraction: 1}, []uint64{3_000_000}, d, false},
		"0.0001 %, missed":       {router.Fault{Delay: d, DelayFraction: 1}, []uint64{3_000_001}, 0, false},
		"all but one in million": {router.Fault{AbortStatus: 500, AbortFraction: 999_999}, []uint64{999_999}, 0, false},
		"delay, then no abort":   {router.Fault{Delay: d, DelayFraction: 500_000, AbortStatus: 500, AbortFraction: 500_000}, []uint64{499_999, 500_000}, d, false},
		"no delay, but abort":    {router.Fault{Delay: d, DelayFraction: 500_000, AbortStatus: 500, AbortFraction: 500_000}, []uint64{500_000, 499_999}, 0, true},
		"gRPC":                   {router.Fault{HasGRPC: true, AbortFraction: router.AllTraffic}, nil, 0, true},
		"nothing to abort with":  {router.Fault{AbortFraction: router.AllTraffic}, nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := test.random
			delay, abort := Fault(&test.fault, func() uint64 {
				if len(left) == 0 {
					t.Fatal("a random number too many")
				}
				n := left[0]
				left = left[1:]
				return n
			})
			if delay != test.delay || abort != test.abort || len(left) > 0 {
				t.Errorf("delay %v, abort %v, %d numbers left; want %v, %v, 0", delay, abort, len(left), test.delay, test.abort)
			}
		})
	}
}

func TestAbortResponse(t *testing.T) {
	t.Parallel()
	const plain, grpc = "content-type: text/plain", "grpc-message: fault filter abort; content-type: application/grpc"
	for _, test := range []struct {
		fault       router.Fault
		contentType string
		status      int
		headers     string
		body        bool
	}{
		{router.Fault{AbortStatus: 503}, "", 503, plain, true},
		{router.Fault{AbortStatus: 503}, "application/grpc-web", 503, plain, true},
		{router.Fault{AbortStatus: 503}, "application/grpc", 200, "grpc-status: 14; " + grpc, false},
		{router.Fault{AbortStatus: 404}, "application/grpc+proto", 200, "grpc-status: 12; " + grpc, false},
		{router.Fault{AbortStatus: 400}, "application/grpc;x", 200, "grpc-status: 13; " + grpc, false},
		{router.Fault{AbortStatus: 401}, "application/grpc", 200, "grpc-status: 16; " + grpc, false},
		{router.Fault{AbortStatus: 403}, "application/grpc", 200, "grpc-status: 7; " + grpc, false},
		{router.Fault{AbortStatus: 500}, "application/grpc", 200, "grpc-status: 2; " + grpc, false},
		{router.Fault{HasGRPC: true, GRPCStatus: 4, AbortStatus: 200}, "application/grpc", 200, "grpc-status: 4; " + grpc, false},
		{router.Fault{HasGRPC: true, GRPCStatus: 4, AbortStatus: 200}, "", 200, "grpc-status: 4; " + plain, true},
	} {
		ex, r := exchange("POST", "content-type: "+test.contentType), new(proxy.Response)
		body := AbortResponse(ex, &test.fault, r)
		got := fmt.Sprint(r.Status, " ", text(r.Headers), " ", string(body) == "fault filter abort", r.Body.Length == int64(len(body)))
		if want := fmt.Sprint(test.status, " ", test.headers, " ", test.body, true); got != want {
			t.Errorf("%+v for %q: %s, want %s", test.fault, test.contentType, got, want)
		}
		if ex.Flags != proxy.FlagFaultInjected || ex.Details != "fault_filter_abort" {
			t.Errorf("flags %v, details %q", ex.Flags, ex.Details)
		}
	}
}
