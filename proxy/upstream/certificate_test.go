package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	a.cert, a.key = a.make(template, nil)
	a.pool.AddCert(a.cert)
	return a
}

// make signs a template, by itself where there is no parent.
func (a *authority) make(template, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue returns a certificate for names that ends so long from now.
func (a *authority) issue(life time.Duration, names ...string) ctls.Certificate {
	a.t.Helper()
	cert, key := a.make(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert)
	return ctls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// trusting is Options.TLS for clusters that trust the authority, and present certs.
func (a *authority) trusting(certs ...ctls.Certificate) func(*router.ClientTLS, string, ...string) (*ctls.Config, error) {
	return func(_ *router.ClientTLS, serverName string, protocols ...string) (*ctls.Config, error) {
		return &ctls.Config{RootCAs: a.pool, ServerName: serverName, NextProtos: protocols, Certificates: certs}, nil
	}
}

// served is what a served connection begins with.
type served struct {
	conn net.Conn
	// sni is what the client asked for.
	sni string
	err error
}

// serve accepts connections on loopback, and hands each on as prepare made it.
func serve(t testing.TB, prepare func(net.Conn) served) (address string, conns chan served) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = make(chan served, 100)
	done, stop := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				s := prepare(conn)
				select {
				case conns <- s:
				case <-stop:
				}
			}()
		}
	}()
	t.Cleanup(func() { close(stop); l.Close(); <-done })
	return l.Addr().String(), conns
}

// secure does the server's part of a handshake.
func secure(config *ctls.Config) func(net.Conn) served {
	return func(conn net.Conn) served {
		s := ctls.Server(conn, config)
		err := s.Handshake()
		return served{conn: s, sni: s.ConnectionState().ServerName, err: err}
	}
}
