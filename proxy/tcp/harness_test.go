package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	ctls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// bench is a gateway that carries bytes, and nothing else of one.
type bench struct {
	t       testing.TB
	engine  *forward.Engine
	spec    *router.Spec
	table   *router.Table
	options *Options
	ln      net.Listener
	// tls ends the clients' TLS; remote and local, where valid, are taken for the addresses
	// of the clients' connections; early is taken off each connection before its session has it.
	tls           *ctls.Config
	local, remote netip.AddrPort
	early         int
	name          string

	mu       sync.Mutex
	sessions map[proxy.Session]bool
	served   sync.WaitGroup
	ticks    chan struct{}
	done     chan proxy.Stream
}

// newBench serves until the test ends. change may set the bench up before.
func newBench(t testing.TB, change func(*bench)) *bench {
	t.Helper()
	b := &bench{t: t, sessions: map[proxy.Session]bool{}, ticks: make(chan struct{}), done: make(chan proxy.Stream, 10000)}
	b.engine = forward.New(forward.Options{UpstreamTLS: func(*router.ClientTLS, string, ...string) (*ctls.Config, error) {
		return &ctls.Config{InsecureSkipVerify: true}, nil
	}})
	b.options = &Options{Route: b.engine.Stream, OnComplete: func(st *proxy.Stream) { b.done <- *st }}
	if change != nil {
		change(b)
	}
	var err error
	if b.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.served.Add(2)
	go b.accept()
	go b.tick()
	t.Cleanup(b.close)
	return b
}

func (b *bench) accept() {
	defer b.served.Done()
	for {
		conn, err := b.ln.Accept()
		if err != nil {
			return
		}
		b.served.Go(func() { b.serve(conn) })
	}
}

func (b *bench) serve(conn net.Conn) {
	info := &proxy.Connection{Listener: "l", Chain: "c", Local: addrPort(conn.LocalAddr()), Remote: addrPort(conn.RemoteAddr())}
	info.Peer = info.Remote
	if b.local.IsValid() {
		info.Local = b.local
	}
	if b.remote.IsValid() {
		info.Remote = b.remote
	}
	if b.name != "" {
		info.TLS = &proxy.TLSState{ServerName: b.name}
	}
	early := make([]byte, b.early)
	if _, err := io.ReadFull(conn, early); err != nil {
		conn.Close()
		return
	}
	if b.tls != nil {
		secure := socket.Server(conn, early, b.tls)
		secure.Decide()
		if secure.Handshake() != nil {
			conn.Close()
			return
		}
		conn, early = secure, nil
		info.TLS = &proxy.TLSState{}
	}
	s := NewSession(conn, early, info, b.options)
	b.mu.Lock()
	b.sessions[s] = true
	b.mu.Unlock()
	s.Serve()
	b.mu.Lock()
	delete(b.sessions, s)
	b.mu.Unlock()
	s.Kill()
}

// tick has the sessions look for what has taken too long, often.
func (b *bench) tick() {
	defer b.served.Done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-b.ticks:
			return
		case <-tick.C:
		}
		b.each(func(s proxy.Session) { s.Check(proxy.Now()) })
	}
}

func (b *bench) each(f func(proxy.Session)) {
	b.mu.Lock()
	var all []proxy.Session
	for s := range b.sessions {
		all = append(all, s)
	}
	b.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

func (b *bench) close() {
	b.ln.Close()
	close(b.ticks)
	b.each(proxy.Session.Kill)
	b.served.Wait()
	b.engine.Close()
}

// publish serves by these streams and clusters from now on.
func (b *bench) publish(streams []*router.StreamRoute, clusters ...*router.Cluster) {
	b.t.Helper()
	spec := &router.Spec{Clusters: clusters}
	if len(streams) > 0 {
		spec.Listeners = []*router.Listener{{Name: "l", Chains: []*router.Chain{{Name: "c", Streams: streams}}}}
	}
	table, problems := router.Build(spec, b.table)
	if len(problems) > 0 {
		b.t.Fatalf("problems: %v", problems)
	}
	b.table, b.spec = table, spec
	b.engine.Publish(table)
}

// to publishes a route to one cluster of these addresses, with the policy that change sets.
func (b *bench) to(change func(*router.Cluster), addresses ...string) {
	b.t.Helper()
	b.publish([]*router.StreamRoute{{Name: "r", Destinations: []router.Destination{{Cluster: "a"}}}}, cluster("a", change, addresses...))
}

func cluster(name string, change func(*router.Cluster), addresses ...string) *router.Cluster {
	c := &router.Cluster{Name: name, Protocol: router.ProtocolTCP, Balancer: router.RoundRobin}
	for _, a := range addresses {
		c.Endpoints = append(c.Endpoints, &router.Endpoint{Address: a})
	}
	if change != nil {
		change(c)
	}
	return c
}

// refused connects a client, which is reset.
func (b *bench) refused() {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.ln.Addr().String())
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			b.t.Fatal(err)
		}
		return // as early as that
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	wantReset(b.t, conn)
}

// dial connects a client.
func (b *bench) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.ln.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	b.t.Cleanup(func() { conn.Close() })
	if b.tls != nil {
		return ctls.Client(conn, &ctls.Config{InsecureSkipVerify: true})
	}
	return conn
}

// over waits for a session's end, and returns what is told of it.
func (b *bench) over() proxy.Stream {
	b.t.Helper()
	select {
	case st := <-b.done:
		return st
	case <-time.After(patience):
		b.t.Fatal("the session did not end")
	}
	panic("unreachable")
}

// endpoint serves connections until the test ends, and returns its address. secure wraps
// them in TLS.
func endpoint(t testing.TB, secure bool, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	served.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			served.Go(func() {
				defer conn.Close()
				if secure {
					conn := ctls.Server(conn, serverTLS())
					defer conn.Close()
					serve(conn)
					return
				}
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		served.Wait()
	})
	return ln.Addr().String()
}

// echo sends back what comes, and its end.
func echo(conn net.Conn) { io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}) }

// says returns a server that says who it is, and waits for the client to end.
func says(name string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, name+"\n")
		io.Copy(io.Discard, conn)
	}
}

// refusing returns an address at which nobody listens, nor will.
func refusing(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
}

var serverTLS = sync.OnceValue(func() *ctls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &ctls.Config{Certificates: []ctls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// want reads so much, and compares.
func want(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("read %d bytes: %.40q, %v, want %d: %.40q", n, got, err, len(text), text)
	}
}

// wantEnd reads to the end, which must come in order.
func wantEnd(t testing.TB, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("read %q, %v, want the end", rest, err)
	}
}

// wantReset reads until the connection is reset.
func wantReset(t testing.TB, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection ended with %v, want a reset", err)
	}
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// halfClose ends the sending side.
func halfClose(t testing.TB, conn net.Conn) {
	t.Helper()
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}
