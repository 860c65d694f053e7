// Package otlp sends spans and log records to a collector that speaks the OpenTelemetry
// protocol (OTLP 1), over gRPC or as POST requests. It owns the two transports, timeouts, and
// when a request is tried again. google.golang.org/grpc and the generated services that import
// it are larger than all else of telemetry together; one unary call needs little of them, so
// it is made with net/http.
//
// It must not know what spans and records say, nor how the collector's address came to be.
package otlp
