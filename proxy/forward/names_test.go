package forward_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/proxy/upstream/dns/dnstest"
	"github.com/sluicegate/sluice/router"
)

// asking resolves names by the server alone.
func asking(t testing.TB, s *dnstest.Server) func(*setup) {
	conf, hosts := s.Conf(t)
	resolver := dns.New(dns.Options{Conf: conf, Hosts: hosts, Port: s.Port})
	return func(s *setup) { s.engine.Resolve = resolver.Lookup }
}

// toName is toOrigin for a name that DNS knows.
func toName(address string, change func(*router.Cluster)) *router.Spec {
	spec := toOrigin(address)
	spec.Clusters[0].Resolution = router.ResolutionDNS
	if change != nil {
		change(spec.Clusters[0])
	}
	return spec
}

// listenEverywhere serves HTTP at the same port of several addresses of loopback.
func listenEverywhere(t testing.TB, handler http.Handler, addresses ...string) (port uint16) {
	t.Helper()
	for _, a := range addresses {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a, port))
		if err != nil {
			t.Skipf("loopback has one address here: %v", err)
		}
		port = l.Addr().(*net.TCPAddr).AddrPort().Port()
		s := &http.Server{Handler: handler}
		done := make(chan bool)
		go func() { s.Serve(l); close(done) }()
		t.Cleanup(func() { s.Close(); <-done })
	}
	return port
}

// While a name moves from address to address, no request fails, and each address has its
// turn.
func TestAddressesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	served := map[string]int{}
	port := listenEverywhere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := r.Context().Value(http.LocalAddrContextKey).(net.Addr).(*net.TCPAddr).IP.String()
		mu.Lock()
		served[local]++
		mu.Unlock()
		io.WriteString(w, local)
	}), "127.0.0.1", "127.0.0.2", "127.0.0.3")
	var turn atomic.Int32
	s := dnstest.New(t, func(q dnsmessage.Question, network string) dnstest.Reply {
		if q.Type != dnsmessage.TypeA {
			return dnstest.Reply{}
		}
		n := turn.Add(1)
		return dnstest.Reply{Records: []dnsmessage.Resource{
			dnstest.Address("app.test.", 0, fmt.Sprintf("127.0.0.%d", n%3+1)),
			dnstest.Address("app.test.", 0, fmt.Sprintf("127.0.0.%d", (n/2)%3+1)),
		}}
	})
	conf, hosts := s.Conf(t)
	resolver := dns.New(dns.Options{Conf: conf, Hosts: hosts, Port: s.Port})
	g := start(t, toName(fmt.Sprintf("app.test:%d", port), nil), func(s *setup) {
		s.engine.Resolve = resolver.Lookup
		s.engine.MinRefresh = 20 * time.Millisecond
		s.quiet = true
	})
	everywhere := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(served) == 3
	}
	const workers, each = 4, 400
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			until := time.Now().Add(patience)
			for n := 0; n < each || (turn.Load() < 4 || !everywhere()) && time.Now().Before(until); n++ {
				resp, err := client.Get("http://" + g.addr + "/")
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("%d %s", resp.StatusCode, body)
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(served) != 3 || turn.Load() < 4 {
		t.Errorf("served %v in %d lookups", served, turn.Load())
	}
	t.Logf("%v in %d lookups", served, turn.Load())
}

// The first request of a cluster waits for its names; one whose names do not exist is told
// so at once.
func TestFirstRequestOfAName(t *testing.T) {
	t.Parallel()
	o := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(o.Close)
	at := netip.MustParseAddrPort(o.Listener.Addr().String())
	tests := map[string]struct {
		answer func(dnsmessage.Question, string) dnstest.Reply
		want   int
	}{
		"found": {dnstest.Records(dnstest.Address("app.test.", 30, at.Addr().String())), 200},
		"missing": {func(dnsmessage.Question, string) dnstest.Reply {
			return dnstest.Reply{RCode: dnsmessage.RCodeNameError}
		}, 503},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, answer := make(chan bool, 10), make(chan bool)
			s := dnstest.New(t, func(q dnsmessage.Question, network string) dnstest.Reply {
				asked <- true
				<-answer
				return test.answer(q, network)
			})
			g := start(t, toName(fmt.Sprintf("app.test:%d", at.Port()), nil), asking(t, s))
			status := make(chan int, 1)
			go func() {
				resp, err := http.Get("http://" + g.addr + "/")
				if err != nil {
					t.Error(err)
					status <- 0
					return
				}
				resp.Body.Close()
				status <- resp.StatusCode
			}()
			<-asked
			select {
			case got := <-status:
				t.Errorf("%d before there was an answer", got)
			case <-time.After(100 * time.Millisecond):
			}
			close(answer)
			if got := <-status; got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
			if r := g.completed(1); test.want == 503 && (r.flags != "UH" || r.details != "no_healthy_upstream" || !strings.HasPrefix(r.failure, "DNS: app.test: no such name")) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// An HTTPS endpoint serves plain requests; one that is not who it should be answers for
// none, and the log says why.
func TestOrigination(t *testing.T) {
	t.Parallel()
	o := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %v", r.Proto, r.TLS.ServerName, r.Host)
	}))
	o.EnableHTTP2 = true
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.StartTLS()
	t.Cleanup(o.Close)
	roots := x509.NewCertPool()
	roots.AddCert(o.Certificate())
	trusting := func(s *setup) {
		s.engine.UpstreamTLS = func(_ *router.ClientTLS, name string, protocols ...string) (*tls.Config, error) {
			return &tls.Config{RootCAs: roots, ServerName: name, NextProtos: protocols}, nil
		}
	}
	tests := map[string]struct {
		tls      router.ClientTLS
		protocol router.Protocol
		host     string
		want     string
		failure  string
	}{
		"HTTP/1.1":       {tls: router.ClientTLS{ServerName: "example.com"}, host: "x.test", want: "HTTP/1.1 example.com x.test"},
		"HTTP/2":         {tls: router.ClientTLS{ServerName: "example.com"}, protocol: router.ProtocolAuto, host: "x.test", want: "HTTP/2.0 example.com x.test"},
		"from the host":  {tls: router.ClientTLS{AutoServerName: true}, host: "www.example.com:8080", want: "HTTP/1.1 www.example.com www.example.com:8080"},
		"another's name": {tls: router.ClientTLS{ServerName: "other.test"}, host: "x.test", failure: "TLS: the certificate is for example.com, "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := toOrigin(o.Listener.Addr().String())
			spec.Clusters[0].TLS, spec.Clusters[0].Protocol = &test.tls, test.protocol
			g := start(t, spec, trusting)
			for n := range 3 {
				req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+g.addr+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = test.host
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				g.completed(n + 1) // and the connection is given back
				if test.failure == "" {
					if resp.StatusCode != 200 || string(body) != test.want {
						t.Errorf("%d %q, want %q", resp.StatusCode, body, test.want)
					}
					continue
				}
				if resp.StatusCode != 503 {
					t.Errorf("%d", resp.StatusCode)
				}
			}
			const details = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:_the_certificate_is_for_"
			if r := g.completed(3); test.failure != "" && (!strings.Contains(r.flags, "UF") || !strings.HasPrefix(r.failure, test.failure) || !strings.HasPrefix(r.details, details)) {
				t.Errorf("%+v", r)
			}
			stats := g.engine.Clusters()[0].Stats
			if n := stats[upstream.CxTotal]; test.failure == "" && n != 1 {
				t.Errorf("%d connections for three requests", n)
			}
		})
	}
}

// With TLS 1.3 an endpoint that wants a certificate says so after the handshake is over for
// the client; the log has its words all the same.
func TestCertificateRequired(t *testing.T) {
	t.Parallel()
	o := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	o.StartTLS()
	t.Cleanup(o.Close)
	roots := x509.NewCertPool()
	roots.AddCert(o.Certificate())
	spec := toOrigin(o.Listener.Addr().String())
	spec.Clusters[0].TLS = &router.ClientTLS{ServerName: "example.com"}
	g := start(t, spec, func(s *setup) {
		s.engine.UpstreamTLS = func(_ *router.ClientTLS, name string, protocols ...string) (*tls.Config, error) {
			return &tls.Config{RootCAs: roots, ServerName: name, NextProtos: protocols}, nil
		}
	})
	resp, err := http.Get("http://" + g.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if r := g.completed(1); r.status < 502 || r.status > 503 || !strings.Contains(r.failure, "certificate required") {
		t.Errorf("%+v", r)
	}
}
