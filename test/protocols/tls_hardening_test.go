package protocols

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// guardedManifests are an open server and one that wants client certificates, at one port, and
// the latter alone at another. The placeholder is the port of an origin that tells what it got.
const guardedManifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: guarded, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-open, protocol: HTTPS}
    hosts: [open.example.com]
    tls: {mode: SIMPLE, credentialName: wide}
  - port: {number: 443, name: https-other, protocol: HTTPS}
    hosts: [other.example.com]
    tls: {mode: SIMPLE, credentialName: wide}
  - port: {number: 443, name: https-secure, protocol: HTTPS}
    hosts: [secure.example.com]
    tls: {mode: MUTUAL, credentialName: wide}
  - port: {number: 8443, name: https-only, protocol: HTTPS}
    hosts: [secure.example.com]
    tls: {mode: MUTUAL, credentialName: wide}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: guarded, namespace: default}
spec:
  hosts: [open.example.com, other.example.com, secure.example.com]
  gateways: [guarded]
  http:
  - route: [{destination: {host: origin.test}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin, namespace: default}
spec:
  hosts: [origin.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: %s}}]
`

// guarded is a gateway with a server that must not be reached without a certificate.
type guarded struct {
	*gateway
	// authority has issued the servers' certificate, and those of clients that may come.
	authority *authority
}

func startGuarded(t testing.TB, flags ...string) guarded {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		var lines []string
		for name, values := range r.Header {
			for _, v := range values {
				lines = append(lines, fmt.Sprintf("%s: %q", strings.ToLower(name), v))
			}
		}
		sort.Strings(lines)
		fmt.Fprintf(w, "host %s\n%s\n", strings.ToLower(strings.TrimSuffix(r.Host, ".")), strings.Join(lines, "\n"))
	}))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	a := newAuthority(t)
	manifests := fmt.Sprintf(guardedManifests, port) + a.secret(t, "wide", "open.example.com", "other.example.com", "secure.example.com")
	return guarded{start(t, manifests, []int{443, 8443}, append(flags, "--http3")...), a}
}

func (g guarded) client(name string) *tls.Config {
	return &tls.Config{RootCAs: g.authority.pool(), ServerName: name}
}

// ask makes a request on one connection and returns status and body; status 0 tells that there
// was no answer.
func (g guarded) ask(t testing.TB, protocol string, config *tls.Config, host string, headers ...string) (status int, body string) {
	t.Helper()
	config = config.Clone()
	var round http.RoundTripper
	switch protocol {
	case "h1":
		config.NextProtos = []string{"http/1.1"}
		x := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}
		x.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", g.at(443))
		}
		round = x
	case "h2":
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		config.NextProtos = []string{"h2"}
		x := &http.Transport{TLSClientConfig: config, Protocols: protocols}
		x.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", g.at(443))
		}
		defer x.CloseIdleConnections()
		round = x
	case "h3":
		x := &http3.Transport{TLSClientConfig: config, Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			c.ServerName = config.ServerName
			return quic.DialAddr(ctx, g.at(443), c, q)
		}}
		defer x.Close()
		round = x
	}
	r, err := http.NewRequestWithContext(within(t), "GET", "https://"+g.at(443)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	resp, err := round.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestHostAndServerName: hardening row 58. A request for a server that wants client certificates
// gets there by no connection that was made to another one, in no spelling of its name.
func TestHostAndServerName(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, protocol := range []string{"h1", "h2", "h3"} {
		t.Run(protocol, func(t *testing.T) {
			with := g.client("secure.example.com")
			with.Certificates = []tls.Certificate{g.authority.keyPair(t, "client")}
			if status, body := g.ask(t, protocol, with, "secure.example.com"); status != 200 || !strings.HasPrefix(body, "host secure") {
				t.Fatalf("with a certificate: %d %s", status, body)
			}
			if status, _ := g.ask(t, protocol, g.client("secure.example.com"), "secure.example.com"); status != 0 {
				t.Errorf("without a certificate: %d", status)
			}
			open := g.client("open.example.com")
			open.Certificates = with.Certificates // it is not asked for
			for _, host := range []string{"secure.example.com", "SECURE.example.COM", "secure.example.com.", "secure.example.com:443", "Secure.Example.Com.:8443", "secure.example.com:0443"} {
				if status, body := g.ask(t, protocol, open, host); status != 421 && status != 400 {
					t.Errorf("%s on a connection to open.example.com: %d %s", host, status, body)
				}
			}
			for _, host := range []string{"other.example.com", "OTHER.example.com:443"} {
				if status, body := g.ask(t, protocol, open, host); status != 200 || !strings.HasPrefix(body, "host other") {
					t.Errorf("%s on a connection to open.example.com: %d %s", host, status, body)
				}
			}
			for _, unnamed := range []string{"", "stranger.example.com"} {
				config := &tls.Config{InsecureSkipVerify: true, ServerName: unnamed}
				if status, body := g.ask(t, protocol, config, "secure.example.com"); status != 0 {
					t.Errorf("SNI %q: %d %s", unnamed, status, body)
				}
			}
		})
	}
}

// TestServerNames: hardening row 57. A port with a server that wants client certificates takes
// no handshake without a name, for another name, or for one that is none; spelling in capitals
// changes nothing.
func TestServerNames(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, port := range []int{443, 8443} {
		for _, name := range []string{"", "stranger.example.com", "example.com", "x.secure.example.com", "secure.example.co"} {
			c, err := tls.Dial("tcp", g.at(port), &tls.Config{InsecureSkipVerify: true, ServerName: name})
			if err == nil {
				c.Close()
				t.Errorf("port %d takes SNI %q", port, name)
			}
		}
		for _, name := range []string{"SECURE.EXAMPLE.COM", "Secure.example.com"} {
			config := g.client(name)
			if conn, err := tls.Dial("tcp", g.at(port), config); err == nil {
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: secure.example.com\r\n\r\n")
				if answer, err := io.ReadAll(conn); err == nil || len(answer) > 0 {
					t.Errorf("port %d, SNI %q without a certificate: %q", port, name, answer)
				}
				conn.Close()
			}
			config.Certificates = []tls.Certificate{g.authority.keyPair(t, "client")}
			conn, err := tls.Dial("tcp", g.at(port), config)
			if err != nil {
				t.Errorf("port %d, SNI %q: %v", port, name, err)
				continue
			}
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: secure.example.com\r\nConnection: close\r\n\r\n")
			if answer, _ := io.ReadAll(conn); !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
				t.Errorf("port %d, SNI %q: %q", port, name, answer)
			}
			conn.Close()
		}
		// What no client library sends is put in place of a name of the same length. The server
		// must not go on: nothing but an alert, or the end, may come.
		for _, odd := range []string{"secure.example.com.", "secure.example.com\x00", "secure.example\x00.com", "secure..example.com", "secure example.com", "127.0.0.1", "*.example.com", ".example.com", "-"} {
			stand := strings.Repeat("a", len(odd))
			conn, err := net.Dial("tcp", g.at(port))
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			seen := &spy{Conn: conn, change: func(b []byte) [][]byte { return [][]byte{bytes.Replace(b, []byte(stand), []byte(odd), 1)} }}
			err = tls.Client(seen, &tls.Config{InsecureSkipVerify: true, ServerName: stand}).Handshake()
			conn.Close()
			if err == nil || len(seen.read) > 0 && seen.read[0] != 21 {
				t.Errorf("port %d, SNI %q: the server goes on: %v", port, odd, err)
			}
		}
	}
}

// spy changes the first write of a connection, and keeps what is read.
type spy struct {
	net.Conn
	change func([]byte) [][]byte
	read   []byte
}

func (s *spy) Write(b []byte) (int, error) {
	pieces := [][]byte{b}
	if s.change != nil {
		pieces, s.change = s.change(b), nil
	}
	for _, p := range pieces {
		if _, err := s.Conn.Write(p); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (s *spy) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.read = append(s.read, b[:n]...)
	return n, err
}

// TestClientHelloInPieces: hardening row 57. The server's name is found however the first
// message is cut, into TCP segments or into records.
func TestClientHelloInPieces(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	records := func(size int) func([]byte) [][]byte {
		return func(b []byte) [][]byte {
			var out []byte
			for body := b[5:]; len(body) > 0; {
				n := min(size, len(body))
				out = append(append(out, b[0], b[1], b[2], byte(n>>8), byte(n)), body[:n]...)
				body = body[n:]
			}
			return [][]byte{out}
		}
	}
	segments := func(size int, of func([]byte) [][]byte) func([]byte) [][]byte {
		return func(b []byte) (out [][]byte) {
			for _, b := range of(b) {
				for len(b) > 0 {
					n := min(size, len(b))
					out, b = append(out, b[:n]), b[n:]
				}
			}
			return out
		}
	}
	whole := func(b []byte) [][]byte { return [][]byte{b} }
	for name, change := range map[string]func([]byte) [][]byte{
		"segments of 1 byte":                segments(1, whole),
		"segments of 100 bytes":             segments(100, whole),
		"records of 100 bytes":              records(100),
		"records of 33 bytes":               records(33),
		"records of 64 in segments of 7":    segments(7, records(64)),
		"records of 500 bytes":              records(500),
		"records of 500 in segments of 501": segments(501, records(500)),
	} {
		for _, server := range []string{"open.example.com", "secure.example.com"} {
			t.Run(name+" to "+server, func(t *testing.T) {
				t.Parallel()
				conn, err := net.Dial("tcp", g.at(443))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				c := tls.Client(&spy{Conn: conn, change: change}, g.client(server))
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+server+"\r\nConnection: close\r\n\r\n")
				answer, err := io.ReadAll(c)
				if got := bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")); got != (server == "open.example.com") {
					t.Errorf("%.100q %v", answer, err)
				}
			})
		}
	}
}

// anyCache offers the last session, whoever it was with.
type anyCache struct{ last *tls.ClientSessionState }

func (c *anyCache) Get(string) (*tls.ClientSessionState, bool) { return c.last, c.last != nil }
func (c *anyCache) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.last = s
	}
}

// TestResumptionElsewhere: hardening row 59. A session of one server is not taken up by another
// that asks clients for something else; where it is taken up, the client is still who it was.
func TestResumptionElsewhere(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		visit := func(name string, cache tls.ClientSessionCache, certs ...tls.Certificate) (resumed bool, answer string) {
			config := g.client(name)
			config.ClientSessionCache, config.Certificates, config.MaxVersion = cache, certs, version
			conn, err := tls.Dial("tcp", g.at(443), config)
			if err != nil {
				return false, err.Error()
			}
			defer conn.Close()
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
			text, err := io.ReadAll(conn)
			if err != nil {
				return false, err.Error()
			}
			return conn.ConnectionState().DidResume, string(text)
		}
		cert := g.authority.keyPair(t, "client")
		cache := &anyCache{}
		if _, answer := visit("open.example.com", cache); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Fatal(answer)
		}
		if resumed, _ := visit("open.example.com", cache); !resumed {
			t.Errorf("%x: a session with the same server is not resumed", version)
		}
		if resumed, answer := visit("secure.example.com", cache); resumed || strings.HasPrefix(answer, "HTTP/") {
			t.Errorf("%x: a session with the open server leads into the other: %q", version, answer)
		}
		cache = &anyCache{}
		if _, answer := visit("secure.example.com", cache, cert); !strings.Contains(answer, "x-forwarded-client-cert") {
			t.Fatal(answer)
		}
		resumed, answer := visit("secure.example.com", cache)
		if !resumed || !strings.Contains(answer, "x-forwarded-client-cert") {
			t.Errorf("%x: resumed %t, but who the client is has gone: %q", version, resumed, answer)
		}
		if resumed, answer = visit("open.example.com", cache); resumed || strings.Contains(answer, "x-forwarded-client-cert") {
			t.Errorf("%x: a session with a certificate is resumed by a server that asks for none: %t %q", version, resumed, answer)
		}
	}
}

// TestWeakTLS: hardening row 56. What is weak is refused: old versions, old suites,
// renegotiation. sslscan finds nothing.
func TestWeakTLS(t *testing.T) {
	t.Parallel()
	openssl := need(t, "openssl")
	g := startGuarded(t)
	for _, args := range []string{"-tls1", "-tls1_1", "-tls1_2 -cipher NULL:aNULL:@SECLEVEL=0", "-tls1_2 -cipher 3DES:RC4:@SECLEVEL=0", "-tls1_2 -cipher kRSA:@SECLEVEL=0", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", "-tls1_2 -cipher DHE:@SECLEVEL=0"} {
		list := append([]string{"s_client", "-connect", g.at(443), "-servername", "open.example.com"}, strings.Fields(args)...)
		if len(list) == 6 {
			list = append(list, "-cipher", "ALL:@SECLEVEL=0")
		}
		out, err := exec.CommandContext(within(t), openssl, list...).CombinedOutput()
		if err == nil && !bytes.Contains(out, []byte("Cipher is (NONE)")) {
			t.Errorf("%s: %s", args, out)
		}
	}
	t.Run("renegotiation", func(t *testing.T) {
		cmd := exec.CommandContext(within(t), openssl, "s_client", "-tls1_2", "-connect", g.at(443), "-servername", "open.example.com")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out lockedBuffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "the handshake", func() bool { return strings.Contains(out.String(), "Verify return code") })
		io.WriteString(in, "R\n")
		err = cmd.Wait()
		in.Close()
		if text := out.String(); err == nil || !strings.Contains(text, "RENEGOTIATING") || !strings.Contains(text, "no renegotiation") && !strings.Contains(text, "error") {
			t.Errorf("%v\n%s", err, text)
		}
	})
	t.Run("sslscan", func(t *testing.T) {
		// Its probe for Heartbleed names no server, and gives the scan up when it is reset.
		out, err := exec.CommandContext(atLength(t), need(t, "sslscan"), "--no-colour", "--no-heartbleed", "--sni-name=open.example.com", g.at(443)).CombinedOutput()
		report := string(out)
		if err != nil || !strings.Contains(report, "TLSv1.3   enabled") || !strings.Contains(report, "TLSv1.2   enabled") {
			t.Fatalf("%v\n%s", err, report)
		}
		for _, want := range []string{"SSLv2     disabled", "SSLv3     disabled", "TLSv1.0   disabled", "TLSv1.1   disabled", "Session renegotiation not supported"} {
			if !strings.Contains(report, want) {
				t.Errorf("without %q", want)
			}
		}
		for line := range strings.Lines(report) {
			suite := strings.HasPrefix(line, "Accepted") || strings.HasPrefix(line, "Preferred")
			if suite && !strings.Contains(line, "GCM") && !strings.Contains(line, "CHACHA20") || strings.Contains(strings.ReplaceAll(line, "not vulnerable", ""), "vulnerable") {
				t.Errorf("weak: %s", line)
			}
		}
		if t.Failed() {
			t.Log(report)
		}
	})
}
