package tcp

import (
	ctls "crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

// TestReload: a session outlives its route, its cluster and its endpoint.
func TestReload(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	old, young := endpoint(t, false, echo), endpoint(t, false, says("young"))
	b.to(nil, old)
	conn := b.dial()
	write(t, conn, "before")
	want(t, conn, "before")
	still := func() {
		t.Helper()
		write(t, conn, "still here")
		want(t, conn, "still here")
	}
	b.to(nil, old, young)
	still()
	b.to(nil, young)
	still()
	if got := name(t, b.dial()); got != "young" {
		t.Errorf("a new connection is served by %s", got)
	}
	b.over()
	b.publish([]*router.StreamRoute{{Name: "other", Destinations: []router.Destination{{Cluster: "b"}}}}, cluster("b", nil, young))
	still()
	b.publish(nil)
	still()
	b.refused()
	b.over()
	halfClose(t, conn)
	wantEnd(t, conn)
	if st := b.over(); st.Flags != 0 || st.Cluster != "a" || st.UpstreamHost != old {
		t.Errorf("told of it: %+v", st)
	}
	// Its cluster comes back, with nothing left over.
	b.to(nil, old)
	if s := b.engine.Clusters()[0].Endpoints[0]; s.Open != 0 || s.Active != 0 {
		t.Errorf("left over: %+v", s)
	}
}

// TestResets: what one side breaks off the other does not take for a good end.
func TestResets(t *testing.T) {
	t.Parallel()
	t.Run("by the endpoint", func(t *testing.T) {
		t.Parallel()
		onEach(t, func(conn net.Conn) {
			io.WriteString(conn, "half of")
			io.ReadFull(conn, make([]byte, 4))
			breakOff(conn)
		}, func(t *testing.T, b *bench, conn net.Conn) {
			want(t, conn, "half of")
			write(t, conn, "more")
			wantReset(t, conn)
			if st := b.over(); st.Flags != proxy.FlagUpstreamTermination || st.Termination != "upstream_reset" {
				t.Errorf("told of it: %+v", st)
			}
		})
	})
	t.Run("by the client", func(t *testing.T) {
		t.Parallel()
		ends := make(chan error, len(carriers))
		onEach(t, func(conn net.Conn) {
			io.WriteString(conn, "half of")
			_, err := io.Copy(io.Discard, conn)
			ends <- err
		}, func(t *testing.T, b *bench, conn net.Conn) {
			want(t, conn, "half of")
			breakOff(conn)
			if st := b.over(); st.Flags != proxy.FlagDownstreamTermination || st.Termination != "downstream_reset" {
				t.Errorf("told of it: %+v", st)
			}
			if err := <-ends; err == nil {
				t.Error("the endpoint saw a good end")
			}
		})
	})
}

// breakOff resets a connection.
func breakOff(conn net.Conn) {
	if s, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = s.NetConn()
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// TestDrain: a session goes on while a drain lasts, and ends with it.
func TestDrain(t *testing.T) {
	t.Parallel()
	onEach(t, echo, func(t *testing.T, b *bench, conn net.Conn) {
		write(t, conn, "hello")
		want(t, conn, "hello")
		for range 50 {
			b.each(proxy.Session.CloseIdle)
		}
		write(t, conn, "again")
		want(t, conn, "again")
		b.each(proxy.Session.Kill)
		wantReset(t, conn)
		if st := b.over(); st.Termination != "drained" {
			t.Errorf("told of it: %+v", st)
		}
	})
}

// TestKillWhileBusy: no direction goes on by itself because it never has to wait.
func TestKillWhileBusy(t *testing.T) {
	t.Parallel()
	onEach(t, echo, func(t *testing.T, b *bench, conn net.Conn) {
		data := make([]byte, 1<<20)
		go func() {
			for {
				if _, err := conn.Write(data); err != nil {
					return
				}
			}
		}()
		if _, err := io.ReadFull(conn, make([]byte, 8<<20)); err != nil {
			t.Fatal(err)
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			io.Copy(io.Discard, conn)
		}()
		b.each(proxy.Session.Kill)
		b.over()
		<-drained
	})
}

// TestKillWhileConnecting: the wait for an endpoint that does not answer ends at once.
func TestKillWhileConnecting(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) { c.TLS = &router.ClientTLS{SkipVerify: true} }, endpoint(t, false, func(conn net.Conn) {
		// The handshake is never answered.
		close(asked)
		io.Copy(io.Discard, conn)
	}))
	conn := b.dial()
	<-asked
	b.each(proxy.Session.Kill)
	wantReset(t, conn)
	if st := b.over(); st.Connected != 0 || st.Flags != 0 || st.Termination != "drained" {
		t.Errorf("told of it: %+v", st)
	}
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) {
		c.TLS, c.ConnectTimeout = &router.ClientTLS{SkipVerify: true}, 50*time.Millisecond
	}, endpoint(t, false, func(conn net.Conn) { io.Copy(io.Discard, conn) }))
	b.refused()
	if st := b.over(); st.Flags != proxy.FlagUpstreamConnectFailure || st.Attempts != 1 {
		t.Errorf("told of it: %+v", st)
	}
}

// TestGoneSide: an endpoint that closes ends a client that sends on.
func TestGoneSide(t *testing.T) {
	t.Parallel()
	onEach(t, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 1))
	}, func(t *testing.T, b *bench, conn net.Conn) {
		go func() {
			for {
				if _, err := io.WriteString(conn, "on and on"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		io.Copy(io.Discard, conn)
		b.over()
	})
}

// TestResetIsFinal: what is closed once more after a reset writes to nobody, least of all to
// the connection that has the descriptor now. It runs by itself, so that it gets that.
func TestResetIsFinal(t *testing.T) {
	client, server := pair(t)
	secure := socket.Server(server, nil, serverTLS())
	secure.Decide()
	shaken := make(chan error, 1)
	go func() { shaken <- ctls.Client(client, &ctls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	s := socket.New(secure, func() bool { return true })
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	reset(secure)
	a, b := pair(t)
	secure.Close()
	for _, conn := range []net.Conn{a, b} {
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 100)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stranger got %d bytes, %v", n, err)
		}
	}
}

// pair returns the two ends of a connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}
