package istio

import (
	"cmp"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// Envoy's defaults, which Istio leaves as they are. Ejection by success rate is off.
const (
	defaultConsecutive5xx     = 5
	defaultConsecutiveLocal   = 5
	defaultOutlierInterval    = 10 * time.Second
	defaultBaseEjection       = 30 * time.Second
	defaultMaxEjectionPercent = 10
)

// compileOutlier returns when endpoints are taken out of use, nil for never.
func compileOutlier(in *networking.OutlierDetection) *router.Outlier {
	if in == nil {
		return nil
	}
	out := &router.Outlier{
		Consecutive5xx:     defaultConsecutive5xx,
		ConsecutiveGateway: int(in.ConsecutiveGatewayErrors.GetValue()),
		SplitLocal:         in.SplitExternalLocalOriginErrors,
		Interval:           cmp.Or(in.Interval.AsDuration(), defaultOutlierInterval),
		BaseEjection:       cmp.Or(in.BaseEjectionTime.AsDuration(), defaultBaseEjection),
		MaxEjectionPercent: cmp.Or(int(in.MaxEjectionPercent), defaultMaxEjectionPercent),
		MinHealthPercent:   int(in.MinHealthPercent),
	}
	switch {
	case in.Consecutive_5XxErrors != nil:
		out.Consecutive5xx = int(in.Consecutive_5XxErrors.Value)
	case in.ConsecutiveErrors > 0 && in.ConsecutiveGatewayErrors == nil:
		// The deprecated field counts 502, 503 and 504 only.
		out.Consecutive5xx, out.ConsecutiveGateway = 0, int(in.ConsecutiveErrors)
	}
	if out.SplitLocal {
		out.ConsecutiveLocal = cmp.Or(int(in.ConsecutiveLocalOriginFailures.GetValue()), defaultConsecutiveLocal)
	}
	for _, code := range in.OutlierDetectionHttpErrorCodes {
		out.ErrorCodes = append(out.ErrorCodes, int(code))
	}
	return out
}
