package proxy

import (
	"strconv"

	"github.com/sluicegate/sluice/router"
)

// grpcCodes are the status codes of gRPC, as text that outlives every buffer.
var grpcCodes = [...]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"}

// GRPCStatus returns the grpc-status among the headers or trailers of a response, empty where
// there is none. One that gRPC does not know is "2" (UNKNOWN).
func GRPCStatus(fields []router.Header) string {
	for i := range fields {
		if fields[i].Name != "grpc-status" {
			continue
		}
		if code, err := strconv.ParseUint(fields[i].Value, 10, 8); err == nil && code < uint64(len(grpcCodes)) {
			return grpcCodes[code]
		}
		return grpcCodes[2]
	}
	return ""
}

// GRPCStatusHTTP returns the HTTP status that a grpc-status stands for (Envoy's
// grpcToHttpStatus), for those who judge endpoints by that. It returns 0 for an empty one.
func GRPCStatusHTTP(status string) int {
	switch status {
	case "":
		return 0
	case "0":
		return 200
	case "1":
		return 499
	case "3", "9", "11":
		return 400
	case "4":
		return 504
	case "5":
		return 404
	case "6", "10":
		return 409
	case "7":
		return 403
	case "8":
		return 429
	case "12":
		return 501
	case "14":
		return 503
	case "16":
		return 401
	}
	return 500
}
