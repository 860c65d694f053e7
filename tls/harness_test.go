package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// rsaKey is shared: making one is slow.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
	// above are the certificates that it is presented with.
	above []*x509.Certificate
}

var serials atomic.Int64

// newRoot returns an authority.
func newRoot(t testing.TB, name string) *pair {
	t.Helper()
	return (&pair{}).issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true})
}

// issue returns a certificate that is signed by the pair, itself where it is empty. What the
// template leaves open is filled in.
func (p *pair) issue(t testing.TB, template *x509.Certificate, keys ...crypto.Signer) *pair {
	t.Helper()
	template.SerialNumber = big.NewInt(serials.Add(1))
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if template.IsCA {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	child := &pair{}
	if len(keys) > 0 {
		child.key = keys[0]
	} else {
		child.key = ecKey(t)
	}
	parent, signer := p.cert, p.key
	if parent == nil {
		parent, signer = template, child.key
	} else {
		child.above = append([]*x509.Certificate{p.cert}, p.above...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, child.key.Public(), signer)
	must(t, err)
	child.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return child
}

// host returns a server's certificate.
func (p *pair) host(t testing.TB, names ...string) *pair {
	return p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names})
}

// client returns a client's certificate.
func (p *pair) client(t testing.TB, name string) *pair {
	return p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{spiffe(name)}})
}

func spiffe(name string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/default/sa/" + name}
}

// chain is the pair's certificates in PEM, without the root.
func (p *pair) chain() []byte {
	text := pemOf(p.cert)
	for _, cert := range p.above {
		if string(cert.RawIssuer) != string(cert.RawSubject) {
			text = append(text, pemOf(cert)...)
		}
	}
	return text
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func (p *pair) keyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (p *pair) tls() ctls.Certificate {
	c := ctls.Certificate{PrivateKey: p.key, Certificate: [][]byte{p.cert.Raw}, Leaf: p.cert}
	for _, cert := range p.above {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// revoke returns the authority's revocation list, in PEM.
func (p *pair) revoke(t testing.TB, until time.Time, revoked ...*pair) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, p.cert, p.key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func pool(pairs ...*pair) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, p := range pairs {
		pool.AddCert(p.cert)
	}
	return pool
}

// secretOf returns a Secret with the pair, and the authorities.
func secretOf(name string, p *pair, authorities ...*pair) *router.Secret {
	s := &router.Secret{Name: "default/" + name}
	if p != nil {
		s.Certificate, s.Key = p.chain(), p.keyPEM()
	}
	for _, a := range authorities {
		s.CA = append(s.CA, pemOf(a.cert)...)
	}
	return s
}

// serverSpec returns a configuration with one chain.
func serverSpec(t *router.ServerTLS, secrets ...*router.Secret) *router.Spec {
	return &router.Spec{
		Listeners: []*router.Listener{{Chains: []*router.Chain{{Name: "https.443.shop", TLS: t}}}},
		Secrets:   secrets,
	}
}

func newStore(t testing.TB, options Options) *Store {
	t.Helper()
	s, err := New(options)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// simple serves one Secret's certificate.
func simple(names ...string) *router.ServerTLS {
	t := &router.ServerTLS{Protocols: []string{"h2", "http/1.1"}}
	for _, name := range names {
		t.Certificates = append(t.Certificates, router.Credential{Secret: "default/" + name})
	}
	return t
}

// result is what a handshake came to on both sides.
type result struct {
	server, client       ctls.ConnectionState
	serverErr, clientErr error
}

// err returns why there was no connection.
func (r result) err() error {
	if r.serverErr != nil {
		return r.serverErr
	}
	return r.clientErr
}

// shake does a handshake with a chain, as a listener does, and moves a byte each way so that
// tickets have come.
func (s *Store) shake(t *router.ServerTLS, client *ctls.Config) result {
	outer := &ctls.Config{GetConfigForClient: func(hello *ctls.ClientHelloInfo) (*ctls.Config, error) {
		return s.Server(t, hello)
	}}
	return shake(outer, client)
}

// connect returns the two ends of a connection with buffers, which a pipe has not.
func connect() (server, client net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		panic(err)
	}
	if server, err = l.Accept(); err != nil {
		panic(err)
	}
	return server, client
}

func shake(server, client *ctls.Config) (r result) {
	a, b := connect()
	deadline := time.Now().Add(20 * time.Second)
	_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.Close()
		c := ctls.Server(a, server)
		if r.serverErr = c.Handshake(); r.serverErr == nil {
			r.server = c.ConnectionState()
			_, r.serverErr = c.Write([]byte("x"))
		}
		if r.serverErr == nil {
			_, r.serverErr = io.ReadFull(c, make([]byte, 1))
		}
	}()
	c := ctls.Client(b, client)
	if r.clientErr = c.Handshake(); r.clientErr == nil {
		r.client = c.ConnectionState()
		_, r.clientErr = io.ReadFull(c, make([]byte, 1))
	}
	if r.clientErr == nil {
		_, r.clientErr = c.Write([]byte("y"))
	}
	b.Close()
	<-done
	if errors.Is(r.serverErr, io.EOF) || errors.Is(r.serverErr, io.ErrClosedPipe) {
		r.serverErr = nil
	}
	return r
}

// write puts a file in place at once.
func write(t testing.TB, path string, text []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path+".new", text, 0o600))
	must(t, os.Rename(path+".new", path))
}

// eventually waits for a condition that events bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("in vain waited for: " + what)
}
