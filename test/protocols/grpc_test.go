package protocols

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// interopCases are the official cases of gRPC's interoperability tests, those apart that are
// about credentials of clouds, or about servers with options that the test server lacks.
var interopCases = []struct {
	name string
	run  func(context.Context, *grpc.ClientConn)
}{
	{"empty_unary", withClient(interop.DoEmptyUnaryCall)},
	{"large_unary", withClient(interop.DoLargeUnaryCall)},
	{"client_streaming", withClient(interop.DoClientStreaming)},
	{"server_streaming", withClient(interop.DoServerStreaming)},
	{"ping_pong", withClient(interop.DoPingPong)},
	{"empty_stream", withClient(interop.DoEmptyStream)},
	{"timeout_on_sleeping_server", withClient(interop.DoTimeoutOnSleepingServer)},
	{"cancel_after_begin", withClient(interop.DoCancelAfterBegin)},
	{"cancel_after_first_response", withClient(interop.DoCancelAfterFirstResponse)},
	{"status_code_and_message", withClient(interop.DoStatusCodeAndMessage)},
	{"special_status_message", withClient(interop.DoSpecialStatusMessage)},
	{"custom_metadata", withClient(interop.DoCustomMetadata)},
	{"unimplemented_method", func(ctx context.Context, conn *grpc.ClientConn) { interop.DoUnimplementedMethod(ctx, conn) }},
	{"unimplemented_service", func(ctx context.Context, conn *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	}},
}

func withClient(run func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, conn *grpc.ClientConn) { run(ctx, testgrpc.NewTestServiceClient(conn)) }
}

// TestGRPCInterop: the official cases pass, over plaintext and TLS on either side.
func TestGRPCInterop(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	pair := ca.keyPair(t, "tls.test")
	g := startGRPC(t, ca,
		grpcHost{name: "h2c.test", endpoints: []string{interopServer(t)}},
		grpcHost{name: "tls.test", endpoints: []string{interopServer(t, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))}, ca: ca.file(t)},
	)
	for _, side := range []struct {
		name, host string
		ca         *authority
	}{
		{"plaintext to plaintext", "h2c.test", nil},
		{"plaintext to TLS", "tls.test", nil},
		{"TLS to plaintext", "h2c.test", ca},
		{"TLS to TLS", "tls.test", ca},
	} {
		conn := dialGRPC(t, g, side.host, side.ca)
		for _, c := range interopCases {
			t.Run(side.name+"/"+c.name, func(t *testing.T) {
				if complaint := verdict(func() { c.run(soon(t), conn) }); complaint != nil {
					t.Error(complaint)
				}
			})
		}
	}
}
