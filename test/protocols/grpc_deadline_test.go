package protocols

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// TestGRPCDeadlines: a call's deadline reaches its server, as far as the route lets it, and the
// client is told when it has passed.
func TestGRPCDeadlines(t *testing.T) {
	t.Parallel()
	server := serveGRPC(t, &scripted{unary: func(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if r.ResponseSize > 0 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		left := -1.0
		if deadline, ok := ctx.Deadline(); ok {
			left = time.Until(deadline).Seconds()
		}
		return &testpb.SimpleResponse{Hostname: fmt.Sprint(left)}, nil
	}})
	g := startGRPC(t, newAuthority(t),
		grpcHost{name: "free.test", endpoints: []string{server}},
		grpcHost{name: "bound.test", endpoints: []string{server}, route: ", timeout: 30s"},
		grpcHost{name: "tight.test", endpoints: []string{server}, route: ", timeout: 0.1s"},
	)
	for _, tc := range []struct {
		host    string
		asked   time.Duration
		between [2]float64
	}{
		{"free.test", 0, [2]float64{-1, -1}},
		{"free.test", 60 * time.Second, [2]float64{40, 60}},
		{"bound.test", 0, [2]float64{15, 30}},
		{"bound.test", 60 * time.Second, [2]float64{15, 30}},
		{"bound.test", 14 * time.Second, [2]float64{1, 14}},
	} {
		ctx, cancel := t.Context(), func() {}
		if tc.asked > 0 {
			ctx, cancel = context.WithTimeout(ctx, tc.asked)
		}
		r, err := testgrpc.NewTestServiceClient(dialGRPC(t, g, tc.host, nil)).UnaryCall(ctx, &testpb.SimpleRequest{})
		cancel()
		left := 0.0
		fmt.Sscan(r.GetHostname(), &left)
		if err != nil || left < tc.between[0] || left > tc.between[1] {
			t.Errorf("%s, %v asked: the server has %v s (%v)", tc.host, tc.asked, left, err)
		}
	}
	_, err := testgrpc.NewTestServiceClient(dialGRPC(t, g, "tight.test", nil)).UnaryCall(soon(t), &testpb.SimpleRequest{ResponseSize: 1})
	expectCode(t, "past the route's timeout", err, codes.DeadlineExceeded)
}
