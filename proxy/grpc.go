package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// grpcCodes are the status codes of gRPC, as text that outlives every buffer.
var grpcCodes = [...]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"}

// What the proxy itself has to say in gRPC.
const (
	GRPCUnknown          = "2"
	GRPCDeadlineExceeded = "4"
	GRPCUnavailable      = "14"
)

// IsGRPC tells whether a message of this content type is one of gRPC: "application/grpc", with
// a format or parameters behind it. gRPC-Web is another protocol.
func IsGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

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

// GRPCStatusOf returns the grpc-status that stands for an HTTP status (gRPC's document "HTTP to
// gRPC Status Code Mapping", and Envoy's httpToGrpcStatus).
func GRPCStatusOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "13" // INTERNAL
	case http.StatusUnauthorized:
		return "16" // UNAUTHENTICATED
	case http.StatusForbidden:
		return "7" // PERMISSION_DENIED
	case http.StatusNotFound:
		return "12" // UNIMPLEMENTED
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return GRPCUnavailable
	}
	return GRPCUnknown
}

// AppendGRPCMessage appends a text as grpc-message writes it: what is not printable ASCII, and
// "%", as percent and two digits (gRPC over HTTP/2, "Responses").
func AppendGRPCMessage(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
