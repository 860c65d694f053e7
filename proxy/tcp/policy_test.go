package tcp

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/proxyproto"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// name reads who the endpoint says it is, and ends the connection.
func name(t *testing.T, conn net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	return strings.TrimSpace(line)
}

func TestWeights(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.publish([]*router.StreamRoute{{Name: "r", Destinations: []router.Destination{
		{Cluster: "a", Weight: 3}, {Cluster: "b", Weight: 1}, {Cluster: "none", Weight: 0},
	}}}, cluster("a", nil, endpoint(t, false, says("a"))), cluster("b", nil, endpoint(t, false, says("b"))))
	const n = 400
	got := map[string]int{}
	for range n {
		got[name(t, b.dial())]++
	}
	// Five standard deviations off the 300.
	if got["a"]+got["b"] != n || got["a"] < 257 || got["a"] > 343 {
		t.Errorf("shares of 3 to 1: %v", got)
	}
}

func TestSubnets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ local, want string }{
		{"10.1.2.3:3306", "a"}, {"10.2.0.1:3306", "b"}, {"[2001:db8::1]:3306", "b"}, {"192.0.2.1:3306", "rest"},
	} {
		t.Run(c.local, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(b *bench) { b.local = netip.MustParseAddrPort(c.local) })
			route := func(name string, subnets ...string) *router.StreamRoute {
				r := &router.StreamRoute{Name: name, Destinations: []router.Destination{{Cluster: name}}}
				for _, s := range subnets {
					r.Subnets = append(r.Subnets, netip.MustParsePrefix(s))
				}
				return r
			}
			b.publish([]*router.StreamRoute{route("a", "10.1.0.0/16"), route("b", "10.0.0.0/8", "2001:db8::/32"), route("rest")},
				cluster("a", nil, endpoint(t, false, says("a"))), cluster("b", nil, endpoint(t, false, says("b"))),
				cluster("rest", nil, endpoint(t, false, says("rest"))))
			if got := name(t, b.dial()); got != c.want {
				t.Errorf("served by %s, want %s", got, c.want)
			}
			if st := b.over(); st.Route != c.want || st.Cluster != c.want {
				t.Errorf("told of it: %+v", st)
			}
		})
	}
}

// TestNowhereToGo: a connection that cannot be served is reset, and the log says why.
func TestNowhereToGo(t *testing.T) {
	t.Parallel()
	to := []*router.StreamRoute{{Name: "r", Destinations: []router.Destination{{Cluster: "a"}}}}
	far := []*router.StreamRoute{{Name: "r", Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Destinations: []router.Destination{{Cluster: "a"}}}}
	for _, c := range []struct {
		name     string
		streams  []*router.StreamRoute
		clusters []*router.Cluster
		flags    proxy.Flags
		attempts int
	}{
		{"no chain", nil, nil, proxy.FlagNoRoute, 0},
		{"no route", far, []*router.Cluster{cluster("a", nil)}, proxy.FlagNoRoute, 0},
		{"no cluster", to, nil, proxy.FlagNoCluster, 0},
		{"no endpoint", to, []*router.Cluster{cluster("a", nil)}, proxy.FlagNoHealthyUpstream, 0},
		{"nobody there", to, []*router.Cluster{cluster("a", nil, refusing(t))}, proxy.FlagUpstreamConnectFailure, 1},
		{"nobody there twice", to, []*router.Cluster{cluster("a", nil, refusing(t), refusing(t))}, proxy.FlagUpstreamConnectFailure, 2},
		{"nobody there at all", to, []*router.Cluster{cluster("a", nil, refusing(t), refusing(t), refusing(t), refusing(t))}, proxy.FlagUpstreamConnectFailure, 3},
		{"no TLS there", to, []*router.Cluster{cluster("a", func(c *router.Cluster) {
			c.TLS = &router.ClientTLS{SkipVerify: true}
		}, endpoint(t, false, func(c net.Conn) { io.WriteString(c, "not TLS at all") }))}, proxy.FlagUpstreamConnectFailure, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.publish(c.streams, c.clusters...)
			b.refused()
			st := b.over()
			if st.Flags != c.flags || st.Attempts != c.attempts || st.Connected != 0 || (st.UpstreamFailure != "") != (c.attempts > 0) {
				t.Errorf("told of it: %+v", st)
			}
			if st.Flags == proxy.FlagNoCluster && (st.Cluster != "a" || st.Missing == nil || st.Missing.Name != "a") {
				t.Errorf("the cluster is not named: %+v", st)
			}
		})
	}
}

// TestAnotherEndpoint: the client does not see that one of two is down.
func TestAnotherEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	good := endpoint(t, false, says("good"))
	b.to(nil, refusing(t), good)
	for range 4 {
		if got := name(t, b.dial()); got != "good" {
			t.Errorf("served by %s", got)
		}
		if st := b.over(); st.UpstreamHost != good || st.Flags != 0 || st.UpstreamFailure != "" {
			t.Errorf("told of it: %+v", st)
		}
	}
}

// TestEjection: an endpoint that cannot be reached is not tried for ever.
func TestEjection(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) { c.Outlier = &router.Outlier{Consecutive5xx: 2, MaxEjectionPercent: 100} },
		refusing(t), endpoint(t, false, says("good")))
	attempts := 0
	for range 10 {
		name(t, b.dial())
		attempts += b.over().Attempts
	}
	if s := b.engine.Clusters()[0].Stats; attempts != 12 || s[upstream.EjectionsActive] != 1 {
		t.Errorf("%d attempts for 10 connections, %d ejected", attempts, s[upstream.EjectionsActive])
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) { c.Pool.MaxConnections = 2 }, endpoint(t, false, says("here")))
	first, second := b.dial(), b.dial()
	want(t, first, "here\n")
	want(t, second, "here\n")
	b.refused()
	if st := b.over(); st.Flags != proxy.FlagUpstreamOverflow {
		t.Errorf("flags %v", st.Flags)
	}
	s := b.engine.Clusters()[0].Stats
	if s[upstream.CxActive] != 2 || s[upstream.CxOverflow] != 1 || s[upstream.CxOpen] != 1 || s[upstream.CxTotal] != 2 {
		t.Errorf("numbers: %v", s)
	}
	first.Close()
	b.over()
	want(t, b.dial(), "here\n")
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const short = 4 * time.Second // within which a word goes back and forth
	for _, c := range []struct {
		name           string
		route, cluster time.Duration
		ends           bool
	}{
		{"by the route", short, 0, true},
		{"by the cluster", 0, short, true},
		{"the route goes first", -1, short, false},
		{"by default not yet", 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var idle atomic.Int32
			b := newBench(t, func(b *bench) {
				b.options.Observe = func(e proxy.ConnEvent) {
					if e == proxy.ConnTunnelTimeout {
						idle.Add(1)
					}
				}
			})
			b.publish([]*router.StreamRoute{{Name: "r", IdleTimeout: c.route, Destinations: []router.Destination{{Cluster: "a"}}}},
				cluster("a", func(s *router.Cluster) { s.Pool.TCPIdleTimeout = c.cluster }, endpoint(t, false, echo)))
			began := time.Now()
			conn := b.dial()
			write(t, conn, "hello")
			want(t, conn, "hello")
			if !c.ends {
				time.Sleep(short + short/2)
				write(t, conn, "again")
				want(t, conn, "again")
				return
			}
			wantEnd(t, conn)
			st := b.over()
			if took := time.Since(began); took < short || st.Flags != proxy.FlagStreamIdleTimeout || st.Termination != "tcp_session_idle_timeout" || idle.Load() != 1 {
				t.Errorf("after %v: %+v", took, st)
			}
		})
	}
}

// TestIdleTimeoutSparesWhatMoves: neither direction needs the other to move.
func TestIdleTimeoutSparesWhatMoves(t *testing.T) {
	t.Parallel()
	const idle, step = 4 * time.Second, 50 * time.Millisecond
	const steps = int(idle/step) + 10
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) { c.Pool.TCPIdleTimeout = idle }, endpoint(t, false, func(conn net.Conn) {
		for range steps {
			time.Sleep(step)
			if _, err := io.WriteString(conn, "."); err != nil {
				return
			}
		}
	}))
	conn := b.dial()
	want(t, conn, strings.Repeat(".", steps))
	wantEnd(t, conn)
}

func TestMaxConnectionAge(t *testing.T) {
	t.Parallel()
	const age = 4 * time.Second
	b := newBench(t, nil)
	b.to(func(c *router.Cluster) { c.Pool.MaxConnectionAge = age }, endpoint(t, false, func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, "."); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}))
	began := time.Now()
	conn := b.dial()
	io.Copy(io.Discard, conn)
	st := b.over()
	if took := time.Since(began); took < age || st.Flags != proxy.FlagDurationTimeout || st.BytesSent == 0 {
		t.Errorf("after %v: %+v", took, st)
	}
}

func TestProxyProtocolOut(t *testing.T) {
	t.Parallel()
	for _, version := range []uint8{1, 2} {
		t.Run(strconv.Itoa(int(version)), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.to(func(c *router.Cluster) { c.ProxyProtocol = version }, endpoint(t, false, func(conn net.Conn) {
				h, rest, err := proxyproto.Read(conn, nil, 0)
				if err != nil || h.Version != version {
					io.WriteString(conn, "bad")
					return
				}
				io.WriteString(conn, h.Source.String()+" "+h.Destination.String()+"\n"+string(rest))
				echo(conn)
			}))
			conn := b.dial()
			write(t, conn, "and the rest")
			want(t, conn, conn.LocalAddr().String()+" "+conn.RemoteAddr().String()+"\nand the rest")
		})
	}
}

func TestHashBySource(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var addresses []string
	for _, n := range []string{"a", "b", "c", "d"} {
		addresses = append(addresses, endpoint(t, false, says(n)))
	}
	b.to(func(c *router.Cluster) {
		c.Balancer, c.Hash = router.Maglev, &router.HashPolicy{Kind: router.HashSourceIP}
	}, addresses...)
	first := name(t, b.dial())
	for range 10 {
		if got := name(t, b.dial()); got != first {
			t.Fatalf("served by %s, before by %s", got, first)
		}
	}
}

// TestOriginal: a cluster that follows the connection goes where TLS names, else where the
// connection was made to, but not to itself.
func TestOriginal(t *testing.T) {
	t.Parallel()
	original := func(port uint16) func(*router.Cluster) {
		return func(c *router.Cluster) { c.Resolution, c.Port = router.ResolutionOriginal, port }
	}
	there := netip.MustParseAddrPort(endpoint(t, false, says("there")))
	t.Run("by TLS", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(b *bench) { b.name = "localhost" })
		b.to(original(there.Port()))
		if got := name(t, b.dial()); got != "there" {
			t.Errorf("served by %s", got)
		}
		if st := b.over(); st.UpstreamHost != there.String() {
			t.Errorf("told of it: %+v", st)
		}
	})
	t.Run("by address", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(b *bench) { b.local = there })
		b.to(original(0))
		// The listener is another one, as with redirected connections.
		if st := b.loop(); st.Flags != 0 {
			t.Errorf("told of it: %+v", st)
		}
	})
	t.Run("to itself", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		b.to(original(0))
		b.refused()
		if st := b.over(); st.Flags != proxy.FlagUpstreamConnectFailure || st.UpstreamFailure != errLoop.Error() {
			t.Errorf("told of it: %+v", st)
		}
	})
	t.Run("to the proxy before", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(b *bench) { b.local, b.remote = there, netip.MustParseAddrPort("192.0.2.1:4000") })
		b.to(original(0))
		b.refused()
		if st := b.over(); st.UpstreamFailure != errLoop.Error() {
			t.Errorf("told of it: %+v", st)
		}
	})
}

// loop connects, and returns what is told of the session.
func (b *bench) loop() proxy.Stream {
	b.t.Helper()
	conn := b.dial()
	want(b.t, conn, "there\n")
	conn.Close()
	return b.over()
}
