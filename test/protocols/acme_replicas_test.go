package protocols

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/sluicegate/sluice/tls/acme"
)

// shelf is a store in memory, for replicas in one process.
type shelf struct {
	mu      sync.Mutex
	entries map[string][]byte
}

func (s *shelf) Get(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := s.entries[key]; ok {
		return data, nil
	}
	return nil, autocert.ErrCacheMiss
}

func (s *shelf) Put(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[key] = bytes.Clone(data)
	return nil
}

func (s *shelf) Create(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[key] == nil {
		s.entries[key] = bytes.Clone(data)
	}
	return nil
}

func (s *shelf) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
	return nil
}

// view is what a replica sees of the shelf. It counts the certificates that come from there.
type view struct {
	*shelf
	issued atomic.Int64
}

func (v *view) Put(ctx context.Context, key string, data []byte) error {
	if key == replicated {
		v.issued.Add(1)
	}
	return v.shelf.Put(ctx, key, data)
}

const replicated = "shop.example.com"

// replica is a Manager with the ports at which an authority finds it.
type replica struct {
	*acme.Manager
	store     *view
	leads     atomic.Bool
	http, tls int
}

func newReplica(t *testing.T, p *pebble, store *shelf) *replica {
	t.Helper()
	r := &replica{store: &view{shelf: store}}
	var err error
	if r.Manager, err = acme.New(acme.Options{Store: r.store, Leads: r.leads.Load, Directory: p.directory, Authorities: p.ca}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	plain, secure := listenLocal(t), listenLocal(t)
	r.http, r.tls = plain.Addr().(*net.TCPAddr).Port, secure.Addr().(*net.TCPAddr).Port
	answers := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		host, _, _ := strings.Cut(q.Host, ":")
		answer, ok := r.Challenge(host, q.URL.Path)
		if !ok {
			http.NotFound(w, q)
			return
		}
		w.Write(answer)
	})}
	proofs := &http.Server{TLSConfig: &tls.Config{NextProtos: []string{"http/1.1", "acme-tls/1"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return r.Certificate(hello, []string{replicated})
	}}, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	go answers.Serve(plain)
	go proofs.ServeTLS(secure, "", "")
	t.Cleanup(func() {
		answers.Close()
		proofs.Close()
	})
	return r
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serial is that of the certificate which the replica hands out.
func (r *replica) serial() string {
	cert, err := r.Certificate(&tls.ClientHelloInfo{ServerName: replicated, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}, []string{replicated})
	if err != nil {
		return ""
	}
	if _, ok := cert.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return ""
	}
	return cert.Leaf.SerialNumber.String()
}

// another waits until all replicas hand out the same certificate, and not the one before.
func another(t *testing.T, before string, replicas ...*replica) string {
	t.Helper()
	for until := time.Now().Add(issuance); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		serial := replicas[0].serial()
		same := serial != "" && serial != before
		for _, r := range replicas[1:] {
			same = same && r.serial() == serial
		}
		if same {
			return serial
		}
	}
	t.Fatal("the replicas do not come to have the same new certificate")
	return ""
}

// TestACMEReplicas: one of two replicas orders and renews, the authority finds the other, both
// have the certificate; when the first dies, the other renews; there is one account.
func TestACMEReplicas(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			p := newPebble(t)
			store := &shelf{entries: map[string][]byte{}}
			a, b := newReplica(t, p, store), newReplica(t, p, store)
			a.leads.Store(true)
			switch challenge {
			case "http-01":
				p.serve(t, b.http, 1)
			case "tls-alpn-01":
				p.serve(t, 1, b.tls)
			}
			a.Allow([]string{replicated})
			b.Allow([]string{replicated})
			first := another(t, "", a, b)
			second := another(t, first, a, b)
			if n := b.store.issued.Load(); n != 0 {
				t.Errorf("the replica that does not lead has ordered %d certificates", n)
			}
			// The leader dies; its Lease is the other's.
			a.Close()
			a.leads.Store(false)
			b.leads.Store(true)
			another(t, second, b)
			until(t, "what the authority issued is what the replicas have stored", func() bool {
				return int64(strings.Count(p.log.String(), "Issued certificate serial")) == a.store.issued.Load()+b.store.issued.Load()
			})
			if log := p.log.String(); strings.Contains(log, "There are now 2 accounts") || !strings.Contains(log, "There are now 1 accounts") {
				t.Error("not one account was made")
			}
		})
	}
}
