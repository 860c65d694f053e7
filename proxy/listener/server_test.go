package listener

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/proxyproto"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// teller is a session that tells who the client is and which chain took it, repeats what was
// read early, and then echoes.
type teller struct {
	conn  net.Conn
	early []byte
	what  string
	info  *proxy.Connection
}

func (s *teller) Serve() {
	defer s.conn.Close()
	name := ""
	if s.info.TLS != nil {
		name = s.info.TLS.ServerName
	}
	io.WriteString(s.conn, strings.Join([]string{s.what + direction(s.info), s.info.Chain, s.info.Remote.Addr().String(), name, ""}, " ")+"\n")
	s.conn.Write(s.early)
	io.Copy(s.conn, s.conn)
}

func direction(info *proxy.Connection) string {
	if info.Inbound {
		return " inbound"
	}
	return ""
}

func (s *teller) Check(int64) {}
func (s *teller) CloseIdle()  {}
func (s *teller) Kill()       { s.conn.SetDeadline(time.Unix(1, 0)) }

func tellers(what string) func(net.Conn, []byte, *proxy.Connection) proxy.Session {
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return &teller{conn, early, what, info}
	}
}

// serve serves on a loopback socket until the test ends.
func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	o.Name = "main"
	if o.HTTP == nil {
		o.HTTP = tellers("http")
	}
	o.Bytes = tellers("bytes")
	s := NewServer(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		s.Drain(ctx)
	})
	return s, l.Addr().String()
}

func call(t *testing.T, address string, send ...byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.Write(send)
	return c
}

func line(t *testing.T, c net.Conn) string {
	t.Helper()
	var got []byte
	for b := make([]byte, 1); !bytes.HasSuffix(got, []byte("\n")); got = append(got, b...) {
		if _, err := c.Read(b); err != nil {
			return string(got) + "!" + err.Error()
		}
	}
	return strings.TrimSuffix(string(got), "\n")
}

// TestLimits: each bound turns the connection away that is one too many, says which it was,
// and lets the next in when one has gone.
func TestLimits(t *testing.T) {
	t.Parallel()
	budget := NewBudget(2)
	_, elsewhere := serve(t, Options{Budget: budget})
	for name, c := range map[string]struct {
		options Options
		want    proxy.ConnEvent
		before  []string // connections made elsewhere
	}{
		"listener": {Options{MaxConnections: 1}, proxy.ConnRefused, nil},
		"client":   {Options{MaxConnectionsPerIP: 1}, proxy.ConnRefusedPerIP, nil},
		"process":  {Options{Budget: budget}, proxy.ConnRefusedTotal, []string{elsewhere}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events [len(proxy.ConnEventNames)]atomic.Int64
			c.options.Observe = func(e proxy.ConnEvent) { events[e].Add(1) }
			s, address := serve(t, c.options)
			for _, other := range c.before {
				line(t, call(t, other))
			}
			first := call(t, address)
			if got := line(t, first); !strings.HasPrefix(got, "http ") {
				t.Fatalf("the first connection got %q", got)
			}
			if got := line(t, call(t, address)); !strings.HasPrefix(got, "HTTP/1.1 503") {
				t.Errorf("one too many got %q", got)
			}
			if n := events[c.want].Load(); n != 1 {
				t.Errorf("%s was told %d times, want once", proxy.ConnEventNames[c.want], n)
			}
			first.Close()
			for s.Connections() > 0 {
				time.Sleep(time.Millisecond)
			}
			if got := line(t, call(t, address)); !strings.HasPrefix(got, "http ") {
				t.Errorf("the next connection got %q", got)
			}
		})
	}
	if got := (*Budget)(nil).Open(); got != 0 {
		t.Errorf("no budget has %d connections open", got)
	}
}

func TestEventNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"": true}
	for e, name := range proxy.ConnEventNames {
		if seen[name] {
			t.Errorf("event %d has the name %q, as another has, or none", e, name)
		}
		seen[name] = true
	}
}

// TestProxyHeader: a trusted peer's header tells the client, what came with it is not lost,
// a bound for each client heeds it, and whoever is trusted but sends none is cut off.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	var bad atomic.Int64
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	_, address := serve(t, Options{TrustedProxies: trusted, MaxConnectionsPerIP: 1, Observe: func(e proxy.ConnEvent) {
		if e == proxy.ConnBadProxyHeader {
			bad.Add(1)
		}
	}})
	header := func(client string) []byte {
		return proxyproto.Append(nil, 2, netip.MustParseAddrPort(client), netip.MustParseAddrPort("192.0.2.9:80"))
	}
	c := call(t, address, append(header("192.0.2.1:4000"), "early\n"...)...)
	if got := line(t, c); got != "http  192.0.2.1  " {
		t.Errorf("got %q", got)
	}
	if got := line(t, c); got != "early" {
		t.Errorf("behind the header came %q", got)
	}
	if got := line(t, call(t, address, header("192.0.2.1:4001")...)); !strings.HasPrefix(got, "!") {
		t.Errorf("the client's second connection got %q", got)
	}
	if got := line(t, call(t, address, header("192.0.2.2:4001")...)); got != "http  192.0.2.2  " {
		t.Errorf("another client got %q", got)
	}
	if got := line(t, call(t, address, []byte("GET / HTTP/1.1\r\n\r\n")...)); !strings.HasPrefix(got, "!") || bad.Load() != 1 {
		t.Errorf("without a header: %q, told %d times", got, bad.Load())
	}
	_, open := serve(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	c = call(t, open, header("192.0.2.1:4000")...)
	if got := line(t, c); got != "http  127.0.0.1  " {
		t.Errorf("a stranger's header was believed: %q", got)
	}
}

// certificate returns a self-signed certificate for names.
func certificate(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// chains returns Options for a listener with these chains, each certificate being its chain's
// first server name's.
func chains(t *testing.T, list ...*router.Chain) Options {
	t.Helper()
	table, problems := router.Build(&router.Spec{Listeners: []*router.Listener{{Name: "main", Chains: list}}}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	configs := map[*router.ServerTLS]*tls.Config{}
	for _, c := range list {
		if c.TLS != nil {
			configs[c.TLS] = &tls.Config{Certificates: []tls.Certificate{certificate(t, c.ServerNames[0])}, NextProtos: c.TLS.Protocols}
		}
	}
	return Options{
		HasChains: func() bool { return table.HasChains("main") },
		Chain: func(name string, tls bool, alpn []string) *router.CompiledChain {
			return table.Chain("main", name, tls, alpn)
		},
		ServerTLS: func(t *router.ServerTLS, _ *tls.ClientHelloInfo) (*tls.Config, error) {
			if configs[t] == nil {
				return nil, errors.New("no certificate")
			}
			return configs[t], nil
		},
		TLSState: func(_ *router.ServerTLS, s tls.ConnectionState) *proxy.TLSState {
			return &proxy.TLSState{ServerName: s.ServerName, Protocol: s.NegotiatedProtocol}
		},
	}
}

// TestChains: the TLS server name chooses what becomes of a connection.
func TestChains(t *testing.T) {
	t.Parallel()
	streams := []*router.StreamRoute{{Name: "s", Destinations: []router.Destination{{Cluster: "c"}}}}
	o := chains(t,
		&router.Chain{Name: "a", ServerNames: []string{"a.example.com"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Name: "a"}},
		&router.Chain{Name: "wild", ServerNames: []string{"*.example.com"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Name: "wild"}},
		&router.Chain{Name: "bytes", ServerNames: []string{"db.example.com"}, TLS: &router.ServerTLS{}, Streams: streams},
		&router.Chain{Name: "through", ServerNames: []string{"through.example.com"}, Streams: streams},
	)
	var events [len(proxy.ConnEventNames)]atomic.Int64
	o.Observe = func(e proxy.ConnEvent) { events[e].Add(1) }
	_, address := serve(t, o)
	hello := func(name string) (*tls.Conn, error) {
		c := tls.Client(call(t, address), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		return c, c.Handshake()
	}
	for name, want := range map[string]string{
		"a.example.com":  "http a 127.0.0.1 a.example.com ",
		"b.example.com":  "http wild 127.0.0.1 b.example.com ",
		"db.example.com": "bytes bytes 127.0.0.1 db.example.com ",
	} {
		c, err := hello(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := line(t, c); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if _, err := hello("elsewhere.test"); err == nil || events[proxy.ConnNoChain].Load() != 1 {
		t.Errorf("nobody's name: %v, told %d times", err, events[proxy.ConnNoChain].Load())
	}
	if got := line(t, call(t, address, []byte("GET / HTTP/1.1\r\nhost: a\r\n\r\n")...)); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("plaintext HTTP got %q", got)
	}
	if got := line(t, call(t, address, 0, 1, 2, 3, 4, 5)); !strings.HasPrefix(got, "!") {
		t.Errorf("noise got %q", got)
	}
	if n := events[proxy.ConnNotTLS].Load(); n != 2 {
		t.Errorf("clients without TLS: told %d times, want 2", n)
	}
}

// TestPassThrough: what a client of a passed-through name says comes out as it was sent, be
// it in pieces, and nothing is answered in its stead.
func TestPassThrough(t *testing.T) {
	t.Parallel()
	streams := []*router.StreamRoute{{Name: "s", Destinations: []router.Destination{{Cluster: "c"}}}}
	_, address := serve(t, chains(t, &router.Chain{Name: "through", ServerNames: []string{"*"}, Streams: streams}))
	sent := &recorder{Conn: call(t, address)}
	handshake := make(chan error)
	go func() {
		handshake <- tls.Client(sent, &tls.Config{ServerName: "x.test", InsecureSkipVerify: true}).Handshake()
	}()
	if err := <-handshake; err != errWritten {
		t.Fatal(err)
	}
	if got := line(t, sent.Conn); got != "bytes through 127.0.0.1 x.test " {
		t.Fatalf("got %q", got)
	}
	back := make([]byte, 200)
	if _, err := io.ReadFull(sent.Conn, back); err != nil || !bytes.HasPrefix(sent.all(), back) {
		t.Errorf("what was read early is not what was sent: %v", err)
	}
	for _, cut := range []int{1, 3, 5, 6, 50} {
		hello := sent.all()
		c := call(t, address, hello[:cut]...)
		time.Sleep(5 * time.Millisecond)
		c.Write(hello[cut:])
		if got := line(t, c); got != "bytes through 127.0.0.1 x.test " {
			t.Fatalf("cut after %d: got %q", cut, got)
		}
		back := make([]byte, len(hello))
		if _, err := io.ReadFull(c, back); err != nil || !bytes.Equal(back, hello) {
			t.Errorf("cut after %d: other bytes came out: %v", cut, err)
		}
	}
}

type recorder struct {
	net.Conn
	wrote atomic.Pointer[[]byte]
}

func (r *recorder) Write(p []byte) (int, error) {
	kept := bytes.Clone(p)
	r.wrote.Store(&kept)
	return r.Conn.Write(p)
}

var errWritten = errors.New("the hello was written")

// Read ends the handshake behind its first message: the test itself reads.
func (r *recorder) Read([]byte) (int, error) { return 0, errWritten }

func (r *recorder) all() []byte { return *r.wrote.Load() }

// TestOpenTimeout: a handshake that does not come about ends.
func TestOpenTimeout(t *testing.T) {
	t.Parallel()
	o := chains(t, &router.Chain{Name: "a", ServerNames: []string{"a.test"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Name: "a"}})
	o.OpenTimeout = 100 * time.Millisecond
	late := make(chan bool, 1)
	o.Observe = func(e proxy.ConnEvent) {
		if e == proxy.ConnHandshakeTimeout {
			late <- true
		}
	}
	_, address := serve(t, o)
	c := call(t, address, 22, 3, 1)
	<-late
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still there")
	}
}

// TestKillWhileOpening: a drain's end cuts connections that have not come to a session.
func TestKillWhileOpening(t *testing.T) {
	t.Parallel()
	s, address := serve(t, chains(t, &router.Chain{Name: "a", ServerNames: []string{"a.test"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Name: "a"}}))
	call(t, address, 22, 3, 1)
	for s.Connections() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.Canceled) || s.Connections() != 0 {
		t.Errorf("Drain: %v, %d connections left", err, s.Connections())
	}
}

func TestInbound(t *testing.T) {
	t.Parallel()
	_, address := serve(t, Options{Inbound: true})
	if got := line(t, call(t, address)); !strings.HasPrefix(got, "http inbound ") {
		t.Errorf("the session was told %q", got)
	}
}
