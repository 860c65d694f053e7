package tcp

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// carriers are the kinds of connections that bytes may come and go by.
var carriers = []struct {
	name             string
	client, endpoint bool
}{
	{"plain", false, false},
	{"TLS from the client", true, false},
	{"TLS to the endpoint", false, true},
	{"TLS on both sides", true, true},
}

// onEach runs a test with each kind of carrier. serve is the endpoint's part.
func onEach(t *testing.T, serve func(net.Conn), test func(t *testing.T, b *bench, conn net.Conn)) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(b *bench) {
				if c.client {
					b.tls = serverTLS()
				}
			})
			b.to(func(spec *router.Cluster) {
				if c.endpoint {
					spec.TLS = &router.ClientTLS{SkipVerify: true}
				}
			}, endpoint(t, c.endpoint, serve))
			test(t, b, b.dial())
		})
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	onEach(t, echo, func(t *testing.T, b *bench, conn net.Conn) {
		for _, s := range []string{"a", "hello", strings.Repeat("x", 100_000)} {
			go io.WriteString(conn, s)
			want(t, conn, s)
		}
		halfClose(t, conn)
		wantEnd(t, conn)
		st := b.over()
		if st.Flags != 0 || st.BytesReceived != 100_006 || st.BytesSent != 100_006 || st.Route != "r" || st.Cluster != "a" ||
			st.UpstreamHost != b.spec.Clusters[0].Endpoints[0].Address || !st.UpstreamLocal.IsValid() || st.Attempts != 1 ||
			st.Connected < st.Start || st.End < st.Connected || st.Termination != "" {
			t.Errorf("told of it: %+v", st)
		}
	})
}

func TestServerFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(conn net.Conn) {
		io.WriteString(conn, "220 ready\r\n")
		echo(conn)
	}, func(t *testing.T, b *bench, conn net.Conn) {
		want(t, conn, "220 ready\r\n")
		write(t, conn, "QUIT\r\n")
		want(t, conn, "QUIT\r\n")
	})
}

// TestHalfCloseByClient: an answer comes after the client's end.
func TestHalfCloseByClient(t *testing.T) {
	t.Parallel()
	onEach(t, func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		conn.Write(append([]byte("got "), all...))
	}, func(t *testing.T, b *bench, conn net.Conn) {
		write(t, conn, "the request")
		halfClose(t, conn)
		want(t, conn, "got the request")
		wantEnd(t, conn)
		if st := b.over(); st.Flags != 0 {
			t.Errorf("flags %v", st.Flags)
		}
	})
}

// TestHalfCloseByEndpoint: the client goes on after the endpoint's end.
func TestHalfCloseByEndpoint(t *testing.T) {
	t.Parallel()
	var all sync.Map // what each connection to an endpoint brought, by where it is from
	got := func(from string) chan string {
		c, _ := all.LoadOrStore(from, make(chan string, 1))
		return c.(chan string)
	}
	onEach(t, func(conn net.Conn) {
		io.WriteString(conn, "send it")
		if s, ok := conn.(interface{ Handshake() error }); ok {
			s.Handshake()
		}
		conn.(interface{ CloseWrite() error }).CloseWrite()
		all, _ := io.ReadAll(conn)
		got(conn.RemoteAddr().String()) <- string(all)
	}, func(t *testing.T, b *bench, conn net.Conn) {
		want(t, conn, "send it")
		wantEnd(t, conn)
		write(t, conn, "here it is")
		halfClose(t, conn)
		st := b.over()
		if st.Flags != 0 {
			t.Errorf("flags %v", st.Flags)
		}
		if s := <-got(st.UpstreamLocal.String()); s != "here it is" {
			t.Errorf("the endpoint got %q", s)
		}
	})
}

// TestCloseRightBehindTheBytes: the end comes with the last bytes, in TLS without saying so.
func TestCloseRightBehindTheBytes(t *testing.T) {
	t.Parallel()
	onEach(t, func(conn net.Conn) {
		io.WriteString(conn, "bye")
		if s, ok := conn.(interface{ NetConn() net.Conn }); ok {
			s.NetConn().Close()
		}
	}, func(t *testing.T, b *bench, conn net.Conn) {
		want(t, conn, "bye")
		wantEnd(t, conn)
	})
}

// TestBigTransfer moves much in both directions at once.
func TestBigTransfer(t *testing.T) {
	t.Parallel()
	for _, c := range carriers {
		size := 64 << 20
		if c.client || c.endpoint || testing.Short() {
			size = 8 << 20
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(b *bench) {
				if c.client {
					b.tls = serverTLS()
				}
			})
			there, back := payload(size), payload(size)
			sums := make(chan [32]byte, 1)
			b.to(func(spec *router.Cluster) {
				if c.endpoint {
					spec.TLS = &router.ClientTLS{SkipVerify: true}
				}
			}, endpoint(t, c.endpoint, func(conn net.Conn) {
				if s, ok := conn.(interface{ Handshake() error }); ok {
					s.Handshake()
				}
				var both sync.WaitGroup
				both.Go(func() {
					conn.Write(back)
					conn.(interface{ CloseWrite() error }).CloseWrite()
				})
				sums <- sum(conn)
				both.Wait()
			}))
			conn := b.dial()
			conn.SetDeadline(time.Now().Add(4 * patience))
			if s, ok := conn.(interface{ Handshake() error }); ok {
				s.Handshake()
			}
			go func() {
				conn.Write(there)
				conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			if sum(conn) != sha256.Sum256(back) {
				t.Error("what came back is not what was sent")
			}
			if <-sums != sha256.Sum256(there) {
				t.Error("what arrived is not what was sent")
			}
			st := b.over()
			if st.BytesReceived != int64(size) || st.BytesSent != int64(size) || st.Flags != 0 {
				t.Errorf("told of it: %+v", st)
			}
		})
	}
}

// payload returns random bytes, a different part of the same for each call.
func payload(size int) []byte {
	p := make([]byte, size)
	var seed [32]byte
	seed[0], seed[1] = byte(rand.Uint32()), byte(rand.Uint32())
	rand.NewChaCha8(seed).Read(p)
	return p
}

func sum(r io.Reader) (s [32]byte) {
	h := sha256.New()
	io.Copy(h, r)
	h.Sum(s[:0])
	return s
}

func TestEarlyBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) { b.early = 5 })
	b.to(nil, endpoint(t, false, echo))
	conn := b.dial()
	write(t, conn, "early and late")
	want(t, conn, "early and late")
	halfClose(t, conn)
	wantEnd(t, conn)
	if st := b.over(); st.BytesReceived != 14 {
		t.Errorf("%d bytes received", st.BytesReceived)
	}
}

func TestUnixEndpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			echo(conn)
			conn.Close()
		}
	}()
	b := newBench(t, nil)
	b.to(nil, "unix://"+path)
	conn := b.dial()
	data := payload(4 << 20)
	go func() {
		conn.Write(data)
		halfClose(t, conn)
	}()
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(data), err)
	}
}

// TestSlowReader: what the one side does not take, the other cannot send.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	onEach(t, func(conn net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			if _, err := conn.Write(buf); err != nil {
				return
			}
		}
	}, func(t *testing.T, b *bench, conn net.Conn) {
		read := 0
		for range 20 {
			n, err := io.ReadAtLeast(conn, make([]byte, 256<<10), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		b.each(proxy.Session.Kill)
		st := b.over()
		if st.Termination != "drained" || st.BytesSent < int64(read) || st.BytesSent > int64(read)+64<<20 {
			t.Errorf("read %d, told of it: %+v", read, st)
		}
	})
}

// TestIdleSessionsHoldNoPipes counts the process's pipes, and so runs by itself.
func TestIdleSessionsHoldNoPipes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pipes are for Linux")
	}
	b := newBench(t, nil)
	b.to(nil, endpoint(t, false, echo))
	before := openPipes(t)
	for range 64 {
		conn := b.dial()
		write(t, conn, "hello")
		want(t, conn, "hello")
	}
	// Those that are kept for the next bytes are let go of, too.
	for start := time.Now(); openPipes(t) > before; runtime.GC() {
		if time.Since(start) > patience {
			t.Fatalf("64 idle sessions hold %d descriptors of pipes", openPipes(t)-before)
		}
	}
}

func openPipes(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// TestStorm connects many clients at once, some of which go away in the middle.
func TestStorm(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(nil, endpoint(t, false, echo), endpoint(t, false, echo))
	const clients = 400
	var all sync.WaitGroup
	for i := range clients {
		conn := b.dial()
		all.Go(func() {
			defer conn.Close()
			data := payload(1 + rand.IntN(100_000))
			go func() {
				conn.Write(data)
				if i%4 != 0 {
					conn.(*net.TCPConn).CloseWrite()
				}
			}()
			if i%4 == 0 {
				io.ReadFull(conn, make([]byte, len(data)/2))
				return
			}
			if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d of %d bytes came back, %v", len(got), len(data), err)
			}
		})
	}
	all.Wait()
	for range clients {
		b.over()
	}
	if s := b.engine.Clusters()[0]; s.Stats[1] != 0 || s.Endpoints[0].Open != 0 || s.Endpoints[0].Active != 0 {
		t.Errorf("something is left: %+v", s.Endpoints)
	}
}

// A stream tells of the cluster and the endpoint that were connected to, or tried last.
func TestTellsEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, test := range []struct {
		cluster  *router.Cluster
		endpoint int
	}{
		{cluster("a", nil, endpoint(t, false, says("a"))), 0},
		{cluster("a", nil, refusing(t)), 0},
		{cluster("a", nil), -1},
	} {
		b.publish([]*router.StreamRoute{{Name: "r", Destinations: []router.Destination{{Cluster: "a"}}}}, test.cluster)
		// A client that is refused may notice as early as here.
		if conn, err := net.Dial("tcp", b.ln.Addr().String()); err == nil {
			conn.Close()
		}
		st := b.over()
		var want *router.Endpoint
		if test.endpoint >= 0 {
			want = test.cluster.Endpoints[test.endpoint]
		}
		if st.Target != test.cluster || st.Endpoint != want {
			t.Errorf("told of %+v and %+v, want %+v", st.Target, st.Endpoint, want)
		}
	}
}
