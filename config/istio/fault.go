package istio

import (
	"math"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config/istio/validate"
	"github.com/sluicegate/sluice/router"
)

// fraction returns a percentage as a part of the traffic; none is no traffic.
func fraction(percentage *networking.Percent) router.Fraction {
	return percentOf(percentage.GetValue())
}

func percentOf(value float64) router.Fraction {
	const millionthsPerPercent = float64(router.AllTraffic) / 100
	return router.Fraction(math.Round(min(max(value, 0), 100) * millionthsPerPercent))
}

// compileFault returns what a rule does to requests on purpose, nil where it hits none.
func compileFault(in *networking.HTTPFaultInjection) *router.Fault {
	out := router.Fault{}
	if d := in.GetDelay(); d.GetFixedDelay().AsDuration() > 0 {
		share := fraction(d.Percentage)
		if d.Percentage == nil {
			share = percentOf(float64(d.Percent))
		}
		if share > 0 {
			out.Delay, out.DelayFraction = d.GetFixedDelay().AsDuration(), share
		}
	}
	if share := fraction(in.GetAbort().GetPercentage()); share > 0 {
		switch kind := in.Abort.ErrorType.(type) {
		case *networking.HTTPFaultInjection_Abort_HttpStatus:
			out.AbortStatus, out.AbortFraction = int(kind.HttpStatus), share
		case *networking.HTTPFaultInjection_Abort_GrpcStatus:
			if code, ok := validate.GRPCStatus(kind.GrpcStatus); ok {
				out.AbortStatus, out.GRPCStatus, out.HasGRPC, out.AbortFraction = 200, code, true, share
			}
		}
	}
	if out == (router.Fault{}) {
		return nil
	}
	return &out
}
