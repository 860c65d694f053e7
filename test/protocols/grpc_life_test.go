package protocols

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"

	"github.com/sluicegate/sluice/test/freeport"
)

// scripted is a test service whose calls do what a test says.
type scripted struct {
	testgrpc.UnimplementedTestServiceServer
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	duplex func(testgrpc.TestService_FullDuplexCallServer) error
	// turn lets the server send another message of a stream, or end it.
	turn chan bool
}

func (s *scripted) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream testgrpc.TestService_StreamingOutputCallServer) error {
	for n := 0; <-s.turn; n++ {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: payload(1000 + n)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *scripted) UnaryCall(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return s.unary(ctx, r)
}

func (s *scripted) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	return s.duplex(stream)
}

// echoing answers each message with one of the same size.
func echoing(stream testgrpc.TestService_FullDuplexCallServer) error {
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: in.Payload}); err != nil {
			return err
		}
	}
}

func payload(n int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, n)} }

// exchangeMessages sends a message on a stream and takes its answer.
func exchangeMessages(stream testgrpc.TestService_FullDuplexCallClient, size int) error {
	if err := stream.Send(&testpb.StreamingOutputCallRequest{Payload: payload(size)}); err != nil {
		return err
	}
	in, err := stream.Recv()
	if err == nil && len(in.Payload.GetBody()) != size {
		err = fmt.Errorf("%d bytes came back of %d", len(in.Payload.GetBody()), size)
	}
	return err
}

// TestGRPCManyStreams: streams of one connection that go on at the same time keep apart.
func TestGRPCManyStreams(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := startGRPC(t, ca, grpcHost{name: "many.test", endpoints: []string{serveGRPC(t, &scripted{duplex: echoing})}})
	client := testgrpc.NewTestServiceClient(dialGRPC(t, g, "many.test", ca))
	var wg sync.WaitGroup
	for i := range 90 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			stream, err := client.FullDuplexCall(within(t))
			if err != nil {
				t.Error(err)
				return
			}
			for round := range 20 {
				if err := exchangeMessages(stream, 1+i*round*7); err != nil {
					t.Errorf("stream %d, round %d: %v", i, round, err)
					return
				}
			}
			stream.CloseSend()
			if _, err := stream.Recv(); err != io.EOF {
				t.Errorf("stream %d: %v at its end", i, err)
			}
		}()
	}
	wg.Wait()
}

// TestGRPCServerDies: a stream whose server dies ends as UNAVAILABLE.
func TestGRPCServerDies(t *testing.T) {
	t.Parallel()
	server := newGRPC(&scripted{duplex: echoing})
	l := listen(t, "127.0.0.1:0")
	go server.Serve(l)
	g := startGRPC(t, newAuthority(t), grpcHost{name: "dies.test", endpoints: []string{l.Addr().String()}})
	client := testgrpc.NewTestServiceClient(dialGRPC(t, g, "dies.test", nil))
	stream, err := client.FullDuplexCall(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := exchangeMessages(stream, 10); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	_, err = stream.Recv()
	expectCode(t, "the stream", err, codes.Unavailable)
	_, err = client.EmptyCall(soon(t), &testpb.Empty{})
	expectCode(t, "a call without a server", err, codes.Unavailable)
}

// TestGRPCLocalReplies: what the gateway answers itself is gRPC.
func TestGRPCLocalReplies(t *testing.T) {
	t.Parallel()
	g := startGRPC(t, newAuthority(t),
		grpcHost{name: "nowhere.test", endpoints: []string{fmt.Sprintf("127.0.0.1:%d", freeport.Take())}},
		grpcHost{name: "fault.test", endpoints: []string{interopServer(t)}, route: ", fault: {abort: {httpStatus: 403, percentage: {value: 100}}}"},
		grpcHost{name: "status.test", endpoints: []string{interopServer(t)}, route: ", fault: {abort: {grpcStatus: DATA_LOSS, percentage: {value: 100}}}"},
	)
	for host, want := range map[string]codes.Code{
		"unknown.test": codes.Unimplemented, "nowhere.test": codes.Unavailable,
		"fault.test": codes.PermissionDenied, "status.test": codes.DataLoss,
	} {
		_, err := testgrpc.NewTestServiceClient(dialGRPC(t, g, host, nil)).EmptyCall(soon(t), &testpb.Empty{})
		expectCode(t, host, err, want)
	}
}

// TestGRPCKeepalive: a client that pings keeps its stream, which is long idle.
func TestGRPCKeepalive(t *testing.T) {
	t.Parallel()
	g := startGRPC(t, newAuthority(t), grpcHost{name: "pings.test", endpoints: []string{serveGRPC(t, &scripted{duplex: echoing})}})
	client := testgrpc.NewTestServiceClient(dialGRPC(t, g, "pings.test", nil,
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: patience, PermitWithoutStream: true})))
	stream, err := client.FullDuplexCall(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := exchangeMessages(stream, 1); err != nil {
		t.Fatal(err)
	}
	// gRPC's client pings no more often than every ten seconds.
	if testing.Short() {
		t.Skip("it takes a dozen seconds")
	}
	<-time.After(13 * time.Second)
	if err := exchangeMessages(stream, 1); err != nil {
		t.Error("after a ping:", err)
	}
}

// TestGRPCGoAway: a server that goes away by GOAWAY, again and again, fails no call.
func TestGRPCGoAway(t *testing.T) {
	t.Parallel()
	server := interopServer(t, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 50 * time.Millisecond, MaxConnectionAgeGrace: 10 * time.Second}))
	g := startGRPC(t, newAuthority(t), grpcHost{name: "away.test", endpoints: []string{server}})
	conn := dialGRPC(t, g, "away.test", nil)
	until := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(until) {
				if complaint := verdict(func() { interop.DoPingPong(within(t), testgrpc.NewTestServiceClient(conn)) }); complaint != nil {
					t.Error(complaint)
					return
				}
				if _, err := testgrpc.NewTestServiceClient(conn).EmptyCall(within(t), &testpb.Empty{}); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// TestGRPCSlowReader: a client that does not read holds up its server, and no other stream.
func TestGRPCSlowReader(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	var sent atomic.Int64
	server := serveGRPC(t, &scripted{
		duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
			for range 1024 {
				if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: payload(size)}); err != nil {
					return err
				}
				sent.Add(1)
			}
			return nil
		},
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Payload: payload(size)}, nil
		},
	})
	g := startGRPC(t, newAuthority(t), grpcHost{name: "slow.test", endpoints: []string{server}})
	client := testgrpc.NewTestServiceClient(dialGRPC(t, g, "slow.test", nil, grpc.WithInitialWindowSize(1<<16), grpc.WithInitialConnWindowSize(1<<20)))
	stream, err := client.FullDuplexCall(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := client.UnaryCall(within(t), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := sent.Load(); n > 128 {
		t.Errorf("the server could send %d messages of %d bytes that nobody read", n, size)
	}
	got := 1
	for {
		if _, err = stream.Recv(); err != nil {
			break
		}
		got++
	}
	if err != io.EOF || got != 1024 {
		t.Errorf("%d messages came, then %v", got, err)
	}
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestGRPCRollingRestart: servers that restart one by one fail no unary call.
func TestGRPCRollingRestart(t *testing.T) {
	t.Parallel()
	const servers = 3
	var addresses []string
	var running [servers]*grpc.Server
	for i := range servers {
		// A server comes back to its port, which nobody's connection may have taken meanwhile.
		l := listen(t, fmt.Sprintf("127.0.0.1:%d", freeport.Take()))
		addresses = append(addresses, l.Addr().String())
		running[i] = newGRPC(interop.NewTestServer())
		go running[i].Serve(l)
	}
	g := startGRPC(t, newAuthority(t), grpcHost{name: "rolling.test", endpoints: addresses,
		route: ", retries: {attempts: 3, retryOn: \"connect-failure,refused-stream,unavailable,reset\"}"})
	client := testgrpc.NewTestServiceClient(dialGRPC(t, g, "rolling.test", nil))
	stop, calls := make(chan struct{}), atomic.Int64{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{ResponseSize: 1000, Payload: payload(1000)}); err != nil {
					t.Errorf("call %d: %v", calls.Load(), err)
					return
				}
				calls.Add(1)
			}
		}()
	}
	for round := range 4 {
		for i := range servers {
			before := calls.Load()
			if round%2 == 0 {
				running[i].GracefulStop()
			} else {
				running[i].Stop()
			}
			running[i] = newGRPC(interop.NewTestServer())
			go running[i].Serve(listen(t, addresses[i]))
			for until := time.Now().Add(5 * time.Second); calls.Load() < before+200 && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	close(stop)
	wg.Wait()
	for _, s := range running {
		s.Stop()
	}
	t.Logf("%d calls", calls.Load())
}
