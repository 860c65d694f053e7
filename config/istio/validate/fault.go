package validate

import (
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// grpcStatuses are the names of gRPC's status codes, each at its number
// (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
var grpcStatuses = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// GRPCStatus returns the number of a status of gRPC by its name.
func GRPCStatus(name string) (int, bool) {
	code := slices.Index(grpcStatuses, name)
	return code, code >= 0
}

// fault checks the faults that a rule injects.
func (c *checker) fault(at *config.Path, fault *networking.HTTPFaultInjection) {
	if fault == nil {
		return
	}
	if fault.Abort == nil && fault.Delay == nil {
		c.fail(Missing, at, "a fault needs a delay or an abort")
	}
	c.delay(at.Field("delay"), fault.Delay)
	c.abort(at.Field("abort"), fault.Abort)
}

func (c *checker) delay(at *config.Path, delay *networking.HTTPFaultInjection_Delay) {
	if delay == nil {
		return
	}
	c.faultPercentage(at.Field("percentage"), delay.Percentage)
	//lint:ignore SA1019 deprecated and still in files
	if percent := delay.Percent; percent != 0 {
		if percent < 0 || percent > 100 {
			c.warn(OutOfRange, at.Field("percent"), "%d is not a percentage", percent)
		}
		c.info(Deprecated, at.Field("percent"), "percent is deprecated: write percentage: {value: %d}", percent)
	}
	if delay.Percentage == nil && delay.Percent == 0 {
		c.warn(NoEffect, at, "without percentage it delays no request: add percentage: {value: 100} for all")
	}
	switch kind := delay.HttpDelayType.(type) {
	case *networking.HTTPFaultInjection_Delay_FixedDelay:
		c.duration(at.Field("fixedDelay"), kind.FixedDelay)
	case *networking.HTTPFaultInjection_Delay_ExponentialDelay:
		c.fail(Unsupported, at.Field("exponentialDelay"), "nothing implements it: use fixedDelay")
	default:
		c.warn(NoEffect, at, "a delay without fixedDelay delays nothing: give one")
	}
}

func (c *checker) abort(at *config.Path, abort *networking.HTTPFaultInjection_Abort) {
	if abort == nil {
		return
	}
	c.faultPercentage(at.Field("percentage"), abort.Percentage)
	if abort.Percentage == nil {
		c.warn(NoEffect, at, "without percentage it aborts no request: add percentage: {value: 100} for all")
	}
	switch kind := abort.ErrorType.(type) {
	case *networking.HTTPFaultInjection_Abort_HttpStatus:
		c.status(at.Field("httpStatus"), int64(kind.HttpStatus))
	case *networking.HTTPFaultInjection_Abort_GrpcStatus:
		if _, ok := GRPCStatus(kind.GrpcStatus); !ok {
			c.fail(OutOfRange, at.Field("grpcStatus"), "%q is not a status of gRPC: write a name such as UNAVAILABLE or NOT_FOUND", kind.GrpcStatus)
		}
	case *networking.HTTPFaultInjection_Abort_Http2Error:
		c.fail(Unsupported, at.Field("http2Error"), "nothing implements it: use httpStatus or grpcStatus")
	default:
		c.warn(NoEffect, at, "an abort without httpStatus or grpcStatus aborts nothing: give one")
	}
}

// faultPercentage checks the share of requests that a fault hits. Shares below one in
// a million cannot be told from none.
func (c *checker) faultPercentage(at *config.Path, percentage *networking.Percent) {
	if v := percentage.GetValue(); v < 0 || v > 100 || v > 0 && v < 0.0001 {
		c.fail(OutOfRange, at.Field("value"), "%v is not a percentage: write 0, or a number from 0.0001 to 100", v)
	}
}
