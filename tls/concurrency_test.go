package tls

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	ctls "crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// Updates, handshakes and questions do not get into each other's way.
func TestUpdatesUnderHandshakes(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	alice := root.client(t, "alice")
	certs := []*pair{root.host(t, "shop.example.com"), root.host(t, "shop.example.com")}
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/shop"}
	settings.Certificates = append(settings.Certificates, router.Credential{ACME: true, Hosts: []string{"other.example.com"}})
	cluster := &router.ClientTLS{
		Authorities: settings.Authorities, ServerName: "shop.example.com", Certificate: &router.Credential{Secret: "default/alice"},
	}
	s := newStore(t, Options{Poll: time.Millisecond, ACME: func(*ctls.ClientHelloInfo, []string) (*ctls.Certificate, error) {
		return nil, io.ErrUnexpectedEOF
	}})
	update := func(i int) {
		spec := serverSpec(settings, secretOf("shop", certs[i%2], root), secretOf("alice", alice))
		spec.Clusters = clusterSpec(cluster).Clusters
		s.Update(spec)
	}
	update(0)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				update(i)
				s.Certificates()
				s.Problems()
			}
		}
	})
	var handshakes sync.WaitGroup
	for range 3 {
		handshakes.Go(func() {
			for range 30 {
				config, err := s.Client(cluster, "")
				if err != nil {
					t.Errorf("client: %v", err)
					return
				}
				r := s.shake(settings, config)
				if r.err() != nil {
					t.Errorf("handshake: %v", r.err())
					return
				}
				state := s.State(settings, r.server)
				if state.Peer == nil || state.Policy != s.Policy(settings) || !state.Covers("shop.example.com") {
					t.Errorf("state is %+v", state)
				}
			}
		})
	}
	handshakes.Wait()
	close(stop)
	wg.Wait()
}

// hugeKey passes for the private key of an RSA key that nobody has.
type hugeKey struct{ public *rsa.PublicKey }

func (k hugeKey) Public() crypto.PublicKey { return k.public }
func (k hugeKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, k.public.Size()), nil
}

// RSA keys that make verification expensive are refused before any of it, on either side.
func TestHugeKeys(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	key := hugeKey{&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), maxRSABits+8, 1), E: 65537}}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"up.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.cert, key.public, root.key)
	must(t, err)
	huge := ctls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}

	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/shop"}
	cluster := &router.ClientTLS{Authorities: settings.Authorities, ServerName: "up.example.com"}
	spec := serverSpec(settings, secretOf("shop", root.host(t, "shop.example.com"), root))
	spec.Clusters = clusterSpec(cluster).Clusters
	s := newStore(t, Options{})
	s.Update(spec)
	r := s.shake(settings, &ctls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*ctls.CertificateRequestInfo) (*ctls.Certificate, error) {
		return &huge, nil
	}})
	expect(t, r.serverErr, "RSA key larger than 8192 bits")
	r = s.dial(cluster, "", &ctls.Config{Certificates: []ctls.Certificate{huge}})
	expect(t, r.clientErr, "RSA key larger than 8192 bits")
}
