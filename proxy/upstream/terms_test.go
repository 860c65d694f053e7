package upstream

import (
	"context"
	ctls "crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/proxyproto"
	"github.com/sluicegate/sluice/router"
)

// take acquires a connection, and gives it back after what would have been an exchange.
func (c *Cluster) take(t *testing.T, e *Endpoint, need Need) (conn proxy.Upstream, reused bool) {
	t.Helper()
	conn, reused, err := c.Acquire(e, &need, false, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Release(e, conn, Report{Reusable: true, Status: 200})
	return conn, reused
}

// Where the request says for whom the certificate must be, a connection that showed one for
// a name serves that name only.
func TestConnectionsByServerName(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	for name, protocol := range map[string]router.Protocol{"HTTP/1.1": router.ProtocolHTTP1, "HTTP/2": router.ProtocolHTTP2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, conns := serve(t, func(conn net.Conn) served {
				s := secure(&ctls.Config{Certificates: []ctls.Certificate{ca.issue(time.Hour, "a.test", "b.test")}, NextProtos: []string{"h2", "http/1.1"}})(conn)
				if protocol == router.ProtocolHTTP2 && s.err == nil {
					s.conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // empty SETTINGS
				}
				return s
			})
			c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) {
				c.Protocol, c.TLS = protocol, &router.ClientTLS{AutoServerName: true}
			})
			seen := map[string]int{}
			made := func(authority string, again bool) {
				t.Helper()
				_, reused := c.take(t, e, Need{Authority: authority})
				if reused != again {
					t.Errorf("%s: reused %v", authority, reused)
				}
				if !reused {
					seen[(<-conns).sni]++
				}
			}
			made("a.test", false)
			made("b.test:443", false)
			made("A.test.:8443", true)
			made("b.test", true)
			made("a.test", true)
			if want := map[string]int{"a.test": 1, "b.test": 1}; fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("server names %v, want %v", seen, want)
			}
			_, _, err := c.Acquire(e, &Need{Authority: "c.test"}, false, 0, nil)
			if err == nil || err.Error() != "TLS: the certificate is for a.test, b.test, not for c.test" {
				t.Error(err)
			}
		})
	}
}

// Addresses are verified, but never sent as a server name (RFC 6066 section 3).
func TestAddressAsServerName(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	address, conns := serve(t, secure(&ctls.Config{Certificates: []ctls.Certificate{ca.issue(time.Hour, "a.test")}}))
	c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) {
		c.TLS = &router.ClientTLS{AutoServerName: true}
	})
	for _, authority := range []string{"[::1]:443", "127.0.0.1"} {
		if _, _, err := c.Acquire(e, &Need{Authority: authority}, false, 0, nil); err == nil {
			t.Errorf("%s: the certificate is for a.test", authority)
		}
		if s := <-conns; s.sni != "" {
			t.Errorf("%s: sent %q", authority, s.sni)
		}
	}
}

// A connection begins with the PROXY protocol's header, before TLS, and is used again for the
// same connection of a client only.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	local := netip.MustParseAddrPort("10.1.1.1:443")
	clients := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.1:1001"), netip.MustParseAddrPort("[2001:db8::1]:1000")}
	for _, version := range []uint8{1, 2} {
		for _, inside := range []bool{false, true} {
			t.Run(fmt.Sprintf("version %d, TLS %v", version, inside), func(t *testing.T) {
				t.Parallel()
				headers := make(chan proxyproto.Header, 10)
				address, conns := serve(t, func(conn net.Conn) served {
					h, rest, err := proxyproto.Read(conn, nil, 10*time.Second)
					if err != nil {
						return served{conn: conn, err: err}
					}
					headers <- h
					if !inside {
						return served{conn: conn}
					}
					return secure(&ctls.Config{Certificates: []ctls.Certificate{ca.issue(time.Hour, "a.test")}})(&prefixed{conn, rest})
				})
				c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) {
					c.ProxyProtocol = version
					if inside {
						c.TLS = &router.ClientTLS{ServerName: "a.test"}
					}
				})
				for _, client := range clients {
					need := Need{Source: client, Destination: local}
					if _, reused := c.take(t, e, need); reused {
						t.Errorf("%v has another's connection", client)
					}
					if s := <-conns; s.err != nil {
						t.Fatal(s.err)
					}
					if h := <-headers; h.Source != client || h.Destination.Port() != local.Port() || h.Destination.Addr().Unmap() != local.Addr() {
						t.Errorf("header %+v for %v", h, client)
					}
				}
				for _, client := range clients {
					if _, reused := c.take(t, e, Need{Source: client, Destination: local}); !reused {
						t.Errorf("%v has no connection of its own any more", client)
					}
				}
			})
		}
	}
}

// prefixed is a connection of which some was read.
type prefixed struct {
	net.Conn
	rest []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Nobody uses a client's connection once the client has gone: it is closed soon.
func TestProxiedConnectionsAreKeptShortly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) { c.ProxyProtocol = 2 }, "a:1")
		defer b.close()
		b.m.dial = drained(b)
		b.c.take(t, b.endpoint("a:1"), Need{Source: netip.MustParseAddrPort("192.0.2.1:1")})
		time.Sleep(9 * time.Second)
		b.want(map[Stat]uint64{CxActive: 1})
		time.Sleep(3 * time.Second)
		b.want(map[Stat]uint64{CxActive: 0})
	})
}

// Where as many connections are idle as are kept, the newest takes the place of the one that has
// been idle for longest, which others' clients may have left.
func TestNewestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *router.Cluster) { c.ProxyProtocol = 1 }, "a:1")
	b.m.dial = drained(b)
	e := b.endpoint("a:1")
	client := func(n int) (reused bool) {
		source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 1024)
		_, reused = b.c.take(t, e, Need{Source: source})
		return reused
	}
	for n := range maxIdle + 10 {
		client(n)
	}
	if !client(maxIdle + 9) {
		t.Error("a client's connection was closed under it")
	}
	if client(0) {
		t.Error("the eldest is kept")
	}
	b.want(map[Stat]uint64{CxActive: maxIdle, CxTotal: maxIdle + 11})
}

// No connection outlives the terms that it was made on: neither an idle one, nor one in use.
func TestTermsChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, "a:1")
	idle, busy := b.acquire("a:1"), b.acquire("a:1")
	b.done("a:1", idle)
	// What does not touch the terms keeps connections.
	b.update(func(c *router.Cluster) { c.Pool.MaxRequests = 10 }, "a:1")
	if conn := b.acquire("a:1"); conn != idle {
		t.Error("a change of something else lost a connection")
	}
	b.done("a:1", idle)
	old := b.c
	b.update(func(c *router.Cluster) { c.TLS = &router.ClientTLS{ServerName: "a.test"} }, "a:1")
	e := b.endpoint("a:1")
	if _, _, err := b.c.Acquire(e, &Need{}, false, 0, nil); err == nil {
		t.Error("a plaintext connection serves where TLS is asked for")
	}
	busy.Requests++
	old.Release(e, busy, Report{Reusable: true, Status: 200})
	if _, _, err := b.c.Acquire(e, &Need{}, false, 0, nil); err == nil {
		t.Error("a plaintext connection came back and serves where TLS is asked for")
	}
	// The same terms in another specification are the same.
	b.update(func(c *router.Cluster) { c.TLS = &router.ClientTLS{ServerName: "a.test"} }, "a:1")
	if b.c.terms != b.c.state.current.Load().terms || b.c.terms.tls.ServerName != "a.test" {
		t.Error("terms")
	}
}

// At the limit, an idle connection of another identity makes room: for one who comes, and for
// one who waits.
func TestRoomForAnotherIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) {
			c.ProxyProtocol = 1
			c.Pool.MaxConnections = 1
		}, "a:1")
		defer b.close()
		b.m.dial = drained(b)
		e := b.endpoint("a:1")
		need := func(port uint16) *Need {
			return &Need{Source: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Destination: netip.MustParseAddrPort("10.1.1.1:80")}
		}
		b.c.take(t, e, *need(1))
		first, reused, err := b.c.Acquire(e, need(2), false, 0, nil)
		if err != nil || reused {
			t.Fatalf("reused %v, %v", reused, err)
		}
		got := make(chan *http1.Conn)
		go func() {
			conn, _, err := b.c.Acquire(e, need(3), false, time.Minute, nil)
			if err != nil {
				t.Error(err)
			}
			own, _ := conn.(*http1.Conn)
			got <- own
		}()
		synctest.Wait()
		b.c.Release(e, first, Report{Reusable: true, Status: 200})
		if conn := <-got; conn == first.(*http1.Conn) {
			t.Error("another client's connection")
		} else {
			b.c.Release(e, conn, Report{Reusable: true, Status: 200})
		}
		b.want(map[Stat]uint64{CxActive: 1, CxTotal: 3})
	})
}

// drained is a dial whose peers read what comes.
func drained(b *bench) func(*net.Dialer, context.Context, string, string) (net.Conn, error) {
	return func(_ *net.Dialer, _ context.Context, _, address string) (net.Conn, error) {
		conn, peer, err := b.pair(address)
		if err == nil {
			go io.Copy(io.Discard, peer)
		}
		return conn, err
	}
}
