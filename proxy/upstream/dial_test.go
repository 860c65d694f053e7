package upstream

import (
	"context"
	ctls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// clusterOf returns a cluster of one endpoint, and its manager.
func clusterOf(t testing.TB, o Options, address string, change func(*router.Cluster)) (*Cluster, *Endpoint) {
	t.Helper()
	m := NewManager(o)
	t.Cleanup(m.Close)
	spec := &router.Cluster{Name: "c", Endpoints: []*router.Endpoint{{Address: address}}}
	change(spec)
	c := m.Update([]*router.Cluster{spec}, nil)[0]
	return c, c.members[0]
}

// waitFor is the patience of one who needs a connection.
func (c *Cluster) waitFor(need Need) *patience {
	return &patience{aborter: proxy.NewWaiter(), id: c.terms.identity(&need, new(identity)).keep()}
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	good, bad := newAuthority(t, "good CA"), newAuthority(t, "bad CA")
	leaf := good.issue(time.Hour, "good.test", "second.test")
	mine := good.issue(time.Hour, "client.test")
	tests := map[string]struct {
		server   *ctls.Config
		client   func(*router.ClientTLS, string, ...string) (*ctls.Config, error)
		protocol router.Protocol
		need     Need
		name     string
		want     string // the protocol, or the error
	}{
		"simple":                {name: "good.test", want: "http/1.1"},
		"another name":          {name: "second.test", want: "http/1.1"},
		"HTTP/1.1 agreed":       {name: "good.test", server: &ctls.Config{NextProtos: []string{"h2", "http/1.1"}}, want: "http/1.1"},
		"HTTP/2 agreed":         {name: "good.test", protocol: router.ProtocolHTTP2, server: &ctls.Config{NextProtos: []string{"h2", "http/1.1"}}, want: "h2"},
		"HTTP/2 without ALPN":   {name: "good.test", protocol: router.ProtocolHTTP2, want: "h2"},
		"auto, both":            {name: "good.test", protocol: router.ProtocolAuto, server: &ctls.Config{NextProtos: []string{"h2", "http/1.1"}}, want: "h2"},
		"auto, HTTP/1.1 only":   {name: "good.test", protocol: router.ProtocolAuto, server: &ctls.Config{NextProtos: []string{"http/1.1"}}, want: "http/1.1"},
		"auto without ALPN":     {name: "good.test", protocol: router.ProtocolAuto, want: "http/1.1"},
		"downstream's HTTP/2":   {name: "good.test", protocol: router.ProtocolDownstream, need: Need{HTTP2: true}, server: &ctls.Config{NextProtos: []string{"http/1.1", "h2"}}, want: "h2"},
		"downstream's HTTP/1.1": {name: "good.test", protocol: router.ProtocolDownstream, server: &ctls.Config{NextProtos: []string{"http/1.1", "h2"}}, want: "http/1.1"},
		"bytes":                 {name: "good.test", protocol: router.ProtocolTCP, server: &ctls.Config{NextProtos: []string{"h2"}}, want: ""},
		"no common protocol":    {name: "good.test", server: &ctls.Config{NextProtos: []string{"acme-tls/1"}}, want: "TLS: the endpoint refused the handshake: no application protocol"},
		"wrong name":            {name: "other.test", want: "TLS: the certificate is for good.test, second.test, not for other.test"},
		"expired":               {name: "good.test", server: &ctls.Config{Certificates: []ctls.Certificate{good.issue(-time.Hour, "good.test")}}, want: "TLS: the certificate expired on "},
		"unknown authority":     {name: "good.test", client: bad.trusting(), want: `TLS: the certificate of "CN=leaf" is signed by "CN=good CA", which is not trusted`},
		"client's certificate":  {name: "good.test", client: good.trusting(mine), server: &ctls.Config{ClientAuth: ctls.RequireAndVerifyClientCert, ClientCAs: good.pool}, want: "http/1.1"},
		"none though required":  {name: "good.test", server: &ctls.Config{ClientAuth: ctls.RequireAndVerifyClientCert, ClientCAs: good.pool, MaxVersion: ctls.VersionTLS12}, want: "TLS: the endpoint refused the handshake: "},
		"no common version":     {name: "good.test", server: &ctls.Config{MaxVersion: ctls.VersionTLS11, MinVersion: ctls.VersionTLS10}, want: "TLS: the endpoint refused the handshake: protocol version not supported"},
		"nothing to do it with": {name: "good.test", client: func(*router.ClientTLS, string, ...string) (*ctls.Config, error) {
			return nil, errors.New("no such Secret")
		}, want: "TLS: no such Secret"},
		"started without the TLS": {name: "good.test", client: nil, want: "TLS: this proxy was started without "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.server == nil {
				test.server = new(ctls.Config)
			}
			if test.server.Certificates == nil {
				test.server.Certificates = []ctls.Certificate{leaf}
			}
			if test.client == nil && name != "started without the TLS" {
				test.client = good.trusting()
			}
			address, _ := serve(t, secure(test.server))
			c, e := clusterOf(t, Options{TLS: test.client}, address, func(c *router.Cluster) {
				c.Protocol, c.TLS = test.protocol, &router.ClientTLS{ServerName: test.name}
			})
			conn, protocol, err := c.connect(c.waitFor(test.need), e)
			if err == nil {
				conn.Close()
				if protocol != test.want {
					t.Errorf("agreed on %q, want %q", protocol, test.want)
				}
				return
			}
			var told *TLSError
			if !strings.HasPrefix(err.Error(), test.want) || test.want == "" || !errors.As(err, &told) || told.ServerName != test.name {
				t.Errorf("%v\nwant %s", err, test.want)
			}
		})
	}
}

// What a peer's certificate says reaches logs: in one line, and not for ever.
func TestErrorsAreHarmless(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	for name, cert := range map[string]ctls.Certificate{
		"line break": ca.issue(time.Hour, "a\r\nset-cookie: x"),
		"long":       ca.issue(time.Hour, strings.Repeat("a", 5000)),
	} {
		err := &TLSError{Err: x509.HostnameError{Certificate: cert.Leaf, Host: "b.test"}}
		if text := err.Error(); strings.ContainsAny(text, "\r\n") || len(text) > 500 {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// What comes before TLS does is no response to anything: it ends the handshake.
func TestPlaintextBeforeTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	leaf := ca.issue(time.Hour, "good.test")
	for name, before := range map[string]string{
		"a response": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
		"a greeting": "220 mail.test\r\n",
		"bytes":      "\x00\x01\x02\x03\x04\x05",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := serve(t, func(conn net.Conn) served {
				io.WriteString(conn, before)
				return secure(&ctls.Config{Certificates: []ctls.Certificate{leaf}})(conn)
			})
			c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) {
				c.TLS = &router.ClientTLS{ServerName: "good.test"}
			})
			_, _, err := c.Acquire(e, &Need{}, false, 0, nil)
			if err == nil || err.Error() != "TLS: the endpoint does not speak TLS" {
				t.Errorf("%v", err)
			}
			if s := c.Status().Stats; s[CxConnectFail] != 1 || s[CxTotal] != 0 || s[CxActive] != 0 {
				t.Errorf("%v", s)
			}
		})
	}
}

// A handshake takes its part of the connect timeout, and of a client's patience.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	silent := func(conn net.Conn) served { return served{conn: conn} }
	slow := func(c *router.Cluster) {
		c.TLS = &router.ClientTLS{ServerName: "good.test"}
		c.ConnectTimeout = time.Second
		c.Outlier = &router.Outlier{SplitLocal: true, ConsecutiveLocal: 1, MaxEjectionPercent: 100}
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		address, conns := serve(t, silent)
		c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, slow)
		// On a busy machine the time may be up before that.
		c.manager.dial = func(_ *net.Dialer, ctx context.Context, network, address string) (net.Conn, error) {
			return dialTCP(new(net.Dialer), ctx, network, address)
		}
		began := time.Now()
		_, _, err := c.Acquire(e, &Need{}, false, 0, nil)
		if err == nil || err.Error() != "TLS: the handshake took too long" || time.Since(began) > 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s := c.Status().Stats
		if s[CxConnectTimeout] != 1 || s[CxConnectFail] != 1 || s[CxActive] != 0 || s[EjectionsLocal] != 1 || !e.Ejected() {
			t.Errorf("%v", s)
		}
		wantClosed(t, (<-conns).conn)
	})
	t.Run("client goes", func(t *testing.T) {
		t.Parallel()
		address, conns := serve(t, silent)
		c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) { slow(c); c.ConnectTimeout = time.Minute })
		p := c.waitFor(Need{})
		ended := make(chan error)
		go func() {
			_, _, err := c.connect(p, e)
			ended <- err
		}()
		conn := (<-conns).conn
		p.aborter.Abort()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		wantClosed(t, conn)
	})
}

// wantClosed reads until the peer has closed.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the connection stays open: %v", err)
	}
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// The deadline of the handshake does not outlive it.
func TestNoDeadlineAfterwards(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	address, conns := serve(t, secure(&ctls.Config{Certificates: []ctls.Certificate{ca.issue(time.Hour, "good.test")}}))
	c, e := clusterOf(t, Options{TLS: ca.trusting()}, address, func(c *router.Cluster) {
		c.TLS = &router.ClientTLS{ServerName: "good.test"}
		c.ConnectTimeout = 4 * time.Second
	})
	conn, _, err := c.connect(c.waitFor(Need{}), e)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	time.AfterFunc(4200*time.Millisecond, func() { io.WriteString((<-conns).conn, "late") })
	var b [4]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil || string(b[:]) != "late" {
		t.Errorf("%q, %v", b, err)
	}
}
