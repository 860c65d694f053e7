// Package traces judges the spans that proxies send. Its collector is OpenTelemetry's own: the
// generated service on a server of google.golang.org/grpc, and its messages over HTTP. What is
// judged are the real binaries: a gateway, and sidecars on both sides of bookinfo's services.
package traces
