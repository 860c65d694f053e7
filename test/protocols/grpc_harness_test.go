package protocols

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	grpcstatus "google.golang.org/grpc/status"
)

// grpcManifests route each host to the service of its name, at endpoints that are filled in.
const grpcManifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: rpc, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: grpc, protocol: GRPC}
    hosts: ["*"]
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialName: rpc}
`

// grpcHost is a host, the service behind it, and its route.
type grpcHost struct {
	name string
	// endpoints are addresses of 127.0.0.1; ca, where set, is the file to verify them by.
	endpoints []string
	ca        string
	// protocol is the port's: GRPC if empty.
	protocol string
	// route is added to the VirtualService's route.
	route string
	// policy is added to the DestinationRule's trafficPolicy.
	policy string
}

func (h grpcHost) manifest() string {
	var endpoints []string
	for _, e := range h.endpoints {
		_, port, _ := net.SplitHostPort(e)
		endpoints = append(endpoints, fmt.Sprintf("{address: 127.0.0.1, ports: {rpc: %s}}", port))
	}
	protocol := h.protocol
	if protocol == "" {
		protocol = "GRPC"
	}
	policy := h.policy
	if h.ca != "" {
		policy += fmt.Sprintf("tls: {mode: SIMPLE, caCertificates: %s, sni: %s, subjectAltNames: [%s]}", h.ca, h.name, h.name)
	}
	rule := ""
	if policy != "" {
		rule = fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %s, namespace: default}
spec: {host: %s, trafficPolicy: {%s}}`, strings.ReplaceAll(h.name, ".", "-"), h.name, policy)
	}
	return rule + fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[2]s, namespace: default}
spec:
  hosts: [%[1]s]
  ports: [{number: 9000, name: rpc, protocol: %[3]s}]
  resolution: STATIC
  endpoints: [%[4]s]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %[2]s, namespace: default}
spec:
  hosts: [%[1]s]
  gateways: [rpc]
  http:
  - {name: %[2]s, route: [{destination: {host: %[1]s, port: {number: 9000}}}]%[5]s}
`, h.name, strings.ReplaceAll(h.name, ".", "-"), protocol, strings.Join(endpoints, ", "), h.route)
}

// startGRPC runs a gateway for hosts, with a certificate of ca for all names under .test.
func startGRPC(t testing.TB, ca *authority, hosts ...grpcHost) *gateway {
	t.Helper()
	var all strings.Builder
	all.WriteString(grpcManifests)
	for _, h := range hosts {
		all.WriteString(h.manifest())
	}
	all.WriteString(ca.secret(t, "rpc", "*.test"))
	return start(t, all.String(), []int{80, 443})
}

// file returns a file with the authority's certificate.
func (a *authority) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// interopServer serves the test service of gRPC's interoperability cases until the test ends.
func interopServer(t testing.TB, o ...grpc.ServerOption) (address string) {
	t.Helper()
	return serveGRPC(t, interop.NewTestServer(), o...)
}

// serveGRPC serves a test service until the test ends.
func serveGRPC(t testing.TB, service testgrpc.TestServiceServer, o ...grpc.ServerOption) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newGRPC(service, o...)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func newGRPC(service testgrpc.TestServiceServer, o ...grpc.ServerOption) *grpc.Server {
	s := grpc.NewServer(o...)
	testgrpc.RegisterTestServiceServer(s, service)
	return s
}

// dialGRPC returns a client of a host at the gateway, over TLS where ca is given.
func dialGRPC(t testing.TB, g *gateway, host string, ca *authority, o ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	address, creds := g.at(80), insecure.NewCredentials()
	if ca != nil {
		address, creds = g.at(443), credentials.NewTLS(&tls.Config{RootCAs: ca.pool(), ServerName: host})
	}
	o = append([]grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithAuthority(host), grpc.WithDisableServiceConfig()}, o...)
	conn, err := grpc.NewClient("passthrough:///"+address, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// judge makes the verdicts of the official cases, which end the process, panics instead.
type judge struct{ grpclog.LoggerV2 }

func (judge) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (judge) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (judge) Fatalln(args ...any)          { panic(fmt.Sprintln(args...)) }

var judged sync.Once

// verdict runs an official case, and returns its complaint.
func verdict(run func()) (complaint any) {
	judged.Do(func() {
		grpclog.SetLoggerV2(judge{grpclog.NewLoggerV2(discard{}, discard{}, discard{})})
	})
	defer func() { complaint = recover() }()
	run()
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// expectCode checks a call's outcome.
func expectCode(t testing.TB, what string, err error, want codes.Code) {
	t.Helper()
	if got := grpcstatus.Code(err); got != want {
		t.Errorf("%s: %v (%v), want %v", what, got, err, want)
	}
}

// soon returns a context of a call that must not hang.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
