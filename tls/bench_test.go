package tls

import (
	ctls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// BenchmarkHandshake measures handshakes by a Store's configurations beside those of a bare
// crypto/tls configuration with the same certificate, turn by turn: client, server and
// loopback together. "ratio" is the Store's share of the time over the other's.
func BenchmarkHandshake(b *testing.B) {
	root := newRoot(b, "servers")
	client := root.client(b, "alice").tls()
	for _, tt := range []struct {
		name            string
		server          *pair
		mutual, resumed bool
	}{
		{"P-256", root.host(b, "shop.example.com"), false, false},
		{"RSA-2048", root.issue(b, &x509.Certificate{DNSNames: []string{"shop.example.com"}}, rsaKey()), false, false},
		{"mutual", root.host(b, "shop.example.com"), true, false},
		{"resumed", root.host(b, "shop.example.com"), false, true},
		{"mutual resumed", root.host(b, "shop.example.com"), true, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			settings := simple("shop")
			bare := &ctls.Config{Certificates: []ctls.Certificate{tt.server.tls()}, NextProtos: settings.Protocols}
			if tt.mutual {
				settings.ClientAuth = router.RequireClientCertificate
				settings.Authorities.Secrets = []string{"default/shop"}
				bare.ClientAuth, bare.ClientCAs = ctls.RequireAndVerifyClientCert, pool(root)
			}
			s := newStore(b, Options{})
			s.Update(serverSpec(settings, secretOf("shop", tt.server, root)))
			ours := &ctls.Config{GetConfigForClient: func(hello *ctls.ClientHelloInfo) (*ctls.Config, error) { return s.Server(settings, hello) }}
			theirs := &ctls.Config{GetConfigForClient: func(*ctls.ClientHelloInfo) (*ctls.Config, error) { return bare, nil }}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(b, err)
			defer l.Close()
			clients := [2]*ctls.Config{}
			for i := range clients {
				clients[i] = &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com", NextProtos: []string{"h2"}, Certificates: []ctls.Certificate{client}}
				if tt.resumed {
					clients[i].ClientSessionCache = ctls.NewLRUClientSessionCache(1)
				}
			}
			var spent [2]time.Duration
			for turn := 0; b.Loop(); turn++ {
				for i := range 2 {
					// Each goes first in turn.
					i ^= turn & 1
					start := time.Now()
					r := benchShake(l, [2]*ctls.Config{ours, theirs}[i], clients[i])
					spent[i] += time.Since(start)
					if r.err() != nil {
						b.Fatal(r.err())
					}
				}
			}
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N)/1000, "µs/ours")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N)/1000, "µs/bare")
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "ratio")
		})
	}
}

// benchShake does a handshake over a listener, and reads a byte so that tickets have come.
func benchShake(l net.Listener, server, client *ctls.Config) (r result) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			r.serverErr = err
			return
		}
		defer conn.Close()
		c := ctls.Server(conn, server)
		if r.serverErr = c.Handshake(); r.serverErr == nil {
			_, r.serverErr = c.Write([]byte("x"))
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		r.clientErr = err
		return r
	}
	defer conn.Close()
	c := ctls.Client(conn, client)
	if r.clientErr = c.Handshake(); r.clientErr == nil {
		_, r.clientErr = c.Read(make([]byte, 1))
	}
	<-done
	return r
}

// BenchmarkServer measures what a handshake waits for here: it must not allocate.
func BenchmarkServer(b *testing.B) {
	s, settings := newStore(b, Options{}), simple("shop")
	s.Update(serverSpec(settings, secretOf("shop", newRoot(b, "servers").host(b, "shop.example.com"))))
	hello := &ctls.ClientHelloInfo{ServerName: "shop.example.com", SupportedProtos: []string{"h2", "http/1.1"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Server(settings, hello); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	c := newCoverage(newRoot(b, "servers").host(b, "shop.example.com", "*.example.org").cert)
	b.ReportAllocs()
	for b.Loop() {
		if !c.host("shop.example.com") || !c.host("a.example.org") || c.host("a.example.com") {
			b.Fatal("wrong")
		}
	}
}

// BenchmarkUpdate measures an Update of many chains of which one has changed.
func BenchmarkUpdate(b *testing.B) {
	root, dir := newRoot(b, "servers"), b.TempDir()
	spec := &router.Spec{Listeners: []*router.Listener{{}}}
	const n = 2000
	for i := range n {
		name := fmt.Sprintf("host-%d.example.com", i)
		p := root.host(b, name)
		chain := &router.Chain{Name: name, TLS: simple(name)}
		if i%10 == 0 {
			chain.TLS.Certificates = []router.Credential{{CertificateFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}}
			write(b, filepath.Join(dir, name+".crt"), p.chain())
			write(b, filepath.Join(dir, name+".key"), p.keyPEM())
		} else {
			spec.Secrets = append(spec.Secrets, secretOf(name, p))
		}
		spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, chain)
	}
	s := newStore(b, Options{})
	s.Update(spec)
	fresh := [2]*router.Secret{secretOf("host-1.example.com", root.host(b, "x.example.com")), secretOf("host-1.example.com", root.host(b, "y.example.com"))}
	i := 0
	for b.Loop() {
		i++
		spec.Secrets[0] = fresh[i%2]
		s.Update(spec)
	}
}
