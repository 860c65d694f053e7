package socket

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"
)

// certificate returns a self-signed certificate for "example.com".
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// pair returns a loopback connection's two ends.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	dialed := make(chan net.Conn, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
		}
		dialed <- c
	}()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client = <-dialed
	t.Cleanup(func() { client.Close(); server.Close() })
	for _, c := range []net.Conn{client, server} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return client, server
}

// echo is a session that writes back what it reads, from inside the callback.
type echo struct {
	sock Socket
	buf  []byte
	sum  int
	err  error
}

func (e *echo) step() bool {
	short := false
	for {
		if short {
			return false
		}
		n, again, err := e.sock.Read(e.buf)
		if again {
			return false
		}
		if err != nil {
			e.err = err
			return true
		}
		e.sum += n
		if e.err = e.sock.Writev(e.buf[:n/2], e.buf[n/2:n], nil); e.err != nil {
			return true
		}
		short = e.sock.Short(n, len(e.buf))
	}
}

// TestTLSEcho: what a client sends comes back whole, however its records and reads fall.
func TestTLSEcho(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t)
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for _, room := range []int{100, 4 << 10, 64 << 10} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client, server := pair(t)
				ended := make(chan error, 1)
				go func() {
					conn := Server(server, nil, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version})
					if err := conn.Handshake(); err != nil {
						ended <- err
						return
					}
					conn.Decide()
					e := &echo{buf: make([]byte, room)}
					e.sock = New(conn, e.step)
					if err := e.sock.Run(); err != nil {
						ended <- err
						return
					}
					ended <- e.err
				}()
				c := tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "example.com"})
				random := mathrand.New(mathrand.NewPCG(1, uint64(room)))
				sent := sha256.New()
				wrote := make(chan int, 1)
				go func() {
					total := 0
					for range 300 {
						p := make([]byte, 1+random.IntN(40<<10))
						rand.Read(p)
						sent.Write(p)
						total += len(p)
						if _, err := c.Write(p); err != nil {
							t.Error(err)
							break
						}
					}
					wrote <- total
				}()
				got := sha256.New()
				read := make(chan int64, 1)
				go func() {
					n, _ := io.Copy(got, c)
					read <- n
				}()
				total := <-wrote
				c.CloseWrite()
				if err := <-ended; err != io.EOF {
					t.Errorf("the server's side ended with %v, want io.EOF", err)
				}
				server.Close()
				if n := <-read; n != int64(total) || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
					t.Errorf("%d bytes came back of %d, or not the same", n, total)
				}
			})
		}
	}
}

// TestTLSWithdraw: a handshake that is given up on leaves every byte that was read, and has
// written none.
func TestTLSWithdraw(t *testing.T) {
	t.Parallel()
	_, pool := certificate(t)
	client, server := pair(t)
	refused := errors.New("no")
	go func() {
		c := tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "example.com", NextProtos: []string{"h2"}})
		c.Handshake()
	}()
	var conn *TLS
	var name string
	conn = Server(server, nil, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name = hello.ServerName
		conn.Mute()
		return nil, refused
	}})
	if err := conn.Handshake(); err != refused {
		t.Fatalf("got %v, want the callback's error", err)
	}
	hello := conn.Seen()
	if name != "example.com" || len(hello) < 100 || hello[0] != 22 || len(hello) != recordHeader+recordLength(hello) {
		t.Fatalf("server name %q, %d bytes seen: % x", name, len(hello), hello[:min(len(hello), 10)])
	}
	client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the client got %d bytes, want none", n)
	}
	// Another server can go on with the bytes.
	second, far := pair(t)
	go func() { second.Write(hello) }()
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, hello) {
		t.Errorf("replayed %d bytes: %v", len(got), err)
	}
}

// listen returns a Listener, where the system has them.
func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = NewListener(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
