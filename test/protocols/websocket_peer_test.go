package protocols

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// wsTransport is a client's way to a server: how it opens WebSockets there.
type wsTransport struct {
	name string
	// url is of scheme http or https, without a path.
	url   string
	round http.RoundTripper
}

// overHTTP1 opens each WebSocket by a connection of its own.
func overHTTP1(name, address string, config *tls.Config) wsTransport {
	w := wsTransport{name: name, url: "http://" + address, round: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	if config != nil {
		w.url = "https://" + address
	}
	return w
}

// overHTTP2 opens WebSockets by extended CONNECT on one connection.
func overHTTP2(t testing.TB, name, address string, config *tls.Config) wsTransport {
	t.Helper()
	p := h2Client(t, dialH2(t, address, config))
	if !p.extended {
		t.Fatalf("%s: the server takes no extended CONNECT", name)
	}
	w := wsTransport{name: name, url: "http://" + address, round: extendedConnect{p}}
	if config != nil {
		w.url = "https://" + address
	}
	return w
}

// dialH2 connects for HTTP/2: inside TLS, or by prior knowledge where config is nil.
func dialH2(t testing.TB, address string, config *tls.Config) net.Conn {
	t.Helper()
	if config == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("ALPN chose %q", got)
	}
	return conn
}

// extendedConnect lets a client of RFC 6455 open WebSockets as RFC 8441 has it.
type extendedConnect struct{ p *h2Peer }

// RoundTrip implements http.RoundTripper.
func (e extendedConnect) RoundTrip(r *http.Request) (*http.Response, error) {
	fields := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", r.URL.Scheme, ":path", r.URL.RequestURI(), ":authority", r.URL.Host}
	if r.Host != "" {
		fields[9] = r.Host
	}
	for name, values := range r.Header {
		switch name = strings.ToLower(name); name {
		case "connection", "upgrade", "sec-websocket-key":
		default:
			fields = append(fields, name, strings.Join(values, ", "))
		}
	}
	s, err := e.p.open(false, fields...)
	if err != nil {
		return nil, err
	}
	head, err := s.awaitHead()
	if err != nil {
		return nil, err
	}
	resp := &http.Response{Status: head[":status"], ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r, Body: s, StatusCode: digits(head[":status"])}
	for name, value := range head {
		if !strings.HasPrefix(name, ":") {
			resp.Header.Set(name, value)
		}
	}
	if resp.StatusCode == http.StatusOK {
		resp.StatusCode = http.StatusSwitchingProtocols
		resp.Header.Set("Connection", "Upgrade")
		resp.Header.Set("Upgrade", "websocket")
		resp.Header.Set("Sec-WebSocket-Accept", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	}
	return resp, nil
}

func digits(text string) (n int) {
	for _, d := range text {
		n = n*10 + int(d-'0')
	}
	return n
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// http1Origin serves handler by HTTP/1.1, inside TLS where config is not nil.
func http1Origin(t testing.TB, handler http.Handler, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	if config != nil {
		s.TLS = config
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// http2Origin serves handler's WebSockets by extended CONNECT, or has none of it.
func http2Origin(t testing.TB, handler http.Handler, extended bool) string {
	t.Helper()
	return serveConns(t, func(conn net.Conn) {
		t.Cleanup(func() { conn.Close() })
		serveH2(conn, handler, extended)
	})
}

func serveH2(conn net.Conn, handler http.Handler, extended bool) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		conn.Close()
		return
	}
	p := newH2Peer(conn)
	p.accept = func(s *h2Stream) { serveStream(handler, s) }
	p.mu.Lock()
	if extended {
		p.framer.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	} else {
		p.framer.WriteSettings()
	}
	p.mu.Unlock()
	p.read()
}

// serveStream hands a stream to a handler that knows WebSockets of HTTP/1.1 only.
func serveStream(handler http.Handler, s *h2Stream) {
	head, _ := s.awaitHead()
	r, err := http.NewRequest("GET", "http://"+head[":authority"]+head[":path"], http.NoBody)
	if err != nil {
		s.reset()
		return
	}
	for name, value := range head {
		if !strings.HasPrefix(name, ":") {
			r.Header.Set(name, value)
		}
	}
	if head[":protocol"] == "websocket" {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(make([]byte, 16)))
	}
	w := &streamWriter{s: s, header: http.Header{}}
	handler.ServeHTTP(w, r)
	if !w.hijacked {
		w.WriteHeader(http.StatusOK)
		s.CloseWrite()
	}
}

// streamWriter is a stream as a response that may become a connection.
type streamWriter struct {
	s                 *h2Stream
	header            http.Header
	written, hijacked bool
}

func (w *streamWriter) Header() http.Header { return w.header }

func (w *streamWriter) WriteHeader(code int) {
	if w.written {
		return
	}
	w.written = true
	if code == http.StatusSwitchingProtocols {
		code = http.StatusOK
	}
	fields := []string{":status", string([]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10)})}
	for name, values := range w.header {
		switch name = strings.ToLower(name); name {
		case "connection", "upgrade", "sec-websocket-accept":
		default:
			fields = append(fields, name, strings.Join(values, ", "))
		}
	}
	w.s.p.mu.Lock()
	defer w.s.p.mu.Unlock()
	w.s.writeHead(false, fields...)
}

func (w *streamWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.s.Write(b)
}

// Hijack implements http.Hijacker.
func (w *streamWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked {
		return nil, nil, errors.New("hijacked before")
	}
	w.hijacked = true
	return w.s, bufio.NewReadWriter(bufio.NewReader(w.s), bufio.NewWriter(w.s)), nil
}
