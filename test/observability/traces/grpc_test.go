package traces

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestGRPC: a call's spans tell its method and what it ended with, which is an error where
// it stands for one of HTTP's.
func TestGRPC(t *testing.T) {
	t.Parallel()
	s := newSink()
	at, _ := s.serve(t, "127.0.0.1:0", false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	checks := health.NewServer()
	healthpb.RegisterHealthServer(server, checks)
	go server.Serve(l)
	t.Cleanup(server.Stop)

	m := newManifests(t)
	m.collector(t, at, "", "randomSamplingPercentage: 0")
	m.shop(t, newBackend(t, 0), "")
	m.workload(t, "default", "shop", "v1", 80, l.Addr().String())
	m.write(t, "shop.yaml", `
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{name: grpc, port: 80}]}
`)
	m.write(t, "shop-v1.yaml", strings.ReplaceAll(m.read(t, "shop-v1.yaml"), "name: http", "name: grpc"))
	m.write(t, "shop-route.yaml", strings.ReplaceAll(m.read(t, "shop-route.yaml"), "prefix: /shop/", "prefix: /grpc.health.v1.Health/"))
	url, _ := m.gateway(t)
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		service string
		code    codes.Code
		tag     string
		fails   bool
	}{
		{"", codes.OK, "0", false},
		{"unknown", codes.NotFound, "5", false},
	} {
		trace, parent := ids()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-"+parent+"-01")
		_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: c.service})
		cancel()
		if status.Code(err) != c.code {
			t.Fatalf("%q: %v", c.service, err)
		}
		for _, x := range s.await(t, trace, 2) {
			if x.Tags["grpc.status_code"] != c.tag || x.Failed != c.fails || x.Tags["http.status_code"] != "200" {
				t.Errorf("%q: %v", c.service, x)
			}
			if x.Kind == tracepb.Span_SPAN_KIND_SERVER && (x.Parent != parent || x.Tags["grpc.path"] != "/grpc.health.v1.Health/Check" ||
				!strings.HasPrefix(x.Tags["grpc.content_type"], "application/grpc") || x.Tags["http.protocol"] != "HTTP/2" ||
				x.Name != "shop.default.svc.cluster.local:80/grpc.health.v1.Health/*") {
				t.Errorf("%q: %v", c.service, x)
			}
		}
	}
}

// TestCollectorInsideTLS: the collector is reached as its DestinationRule wants it.
func TestCollectorInsideTLS(t *testing.T) {
	t.Parallel()
	s := newSink()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(certificate(t))))
	collectorpb.RegisterTraceServiceServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)

	m := newManifests(t)
	m.collector(t, l.Addr().String(), "grpc: {timeout: 5s, initialMetadata: [{name: x-token, value: secret}]}", "")
	m.write(t, "rule.yaml", `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: collector, namespace: observability}
spec:
  host: collector.observability.svc.cluster.local
  trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}
`)
	m.shop(t, newBackend(t, 0), "")
	url, _ := m.gateway(t)
	trace, parent := ids()
	get(t, url+"/shop/", "traceparent: 00-"+trace+"-"+parent+"-01")
	s.await(t, trace, 2)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.headers[0] != "secret" {
		t.Errorf("the token is %q", s.headers[0])
	}
}

// certificate returns one that nobody has signed.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"collector.observability.svc.cluster.local"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
