package http2

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

// handlerFunc is a Handler whose rejections are answered with their status and detail.
type handlerFunc func(ex *proxy.Exchange, down proxy.Downstream)

func (f handlerFunc) Serve(ex *proxy.Exchange, down proxy.Downstream) { f(ex, down) }

func (f handlerFunc) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	headers := []router.Header{{Name: "x-detail", Value: r.Detail}}
	if r.Location != "" {
		headers = append(headers, router.Header{Name: "location", Value: r.Location})
	}
	down.Respond(ex, &proxy.Response{Status: r.Status, Headers: headers, DeclaredLength: 0}, nil, true)
}

// respond answers with a body.
func respond(ex *proxy.Exchange, down proxy.Downstream, status int, body string, headers ...router.Header) error {
	r := proxy.Response{Status: status, Headers: headers, Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}, DeclaredLength: int64(len(body))}
	return down.Respond(ex, &r, []byte(body), true)
}

// describe answers with what the request was, and its body.
func describe(ex *proxy.Exchange, down proxy.Downstream) {
	body := ex.Payload
	if !ex.Buffered {
		var err error
		if body, err = readAll(down); err != nil {
			return
		}
	}
	var b strings.Builder
	r := &ex.Request
	b.WriteString(r.Method + " " + r.Scheme + " " + r.Authority + " " + r.Path + "\n")
	for _, h := range r.Headers {
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	for _, h := range down.Trailers() {
		b.WriteString("trailer " + h.Name + ": " + h.Value + "\n")
	}
	b.WriteString("\n")
	b.Write(body)
	respond(ex, down, 200, b.String(), router.Header{Name: "x-buffered", Value: strconv.FormatBool(ex.Buffered)})
}

func readAll(down proxy.Downstream) ([]byte, error) {
	var all []byte
	buf := make([]byte, 10000)
	for {
		n, err := down.ReadBody(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// server is a listener whose connections are sessions.
type server struct {
	t        testing.TB
	listener net.Listener
	options  *Options

	mu       sync.Mutex
	sessions []proxy.Session
	events   []proxy.ConnEvent
	// accepting is the accept loop; all are the other goroutines.
	accepting, all sync.WaitGroup
	stop           chan struct{}
	once           sync.Once
	// unwatched keeps Check from being called: time does not pass.
	unwatched atomic.Bool
	// tls, where not nil, is what connections are inside of.
	tls *tls.Config
}

func serve(t testing.TB, o Options) *server { return serveTLS(t, o, nil) }

func serveTLS(t testing.TB, o Options, config *tls.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: l, tls: config, stop: make(chan struct{})}
	o.Observe = func(e proxy.ConnEvent) {
		s.mu.Lock()
		s.events = append(s.events, e)
		s.mu.Unlock()
	}
	if o.Handler == nil {
		o.Handler = handlerFunc(describe)
	}
	s.options = o.WithDefaults()
	s.accepting.Go(s.accept)
	s.all.Go(s.watch)
	t.Cleanup(s.close)
	return s
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.accepting.Go(func() { s.begin(conn) })
	}
}

// begin makes a session of a connection, behind the handshake where there is one.
func (s *server) begin(conn net.Conn) {
	info := &proxy.Connection{Listener: "test", Remote: conn.RemoteAddr().(*net.TCPAddr).AddrPort(), Local: conn.LocalAddr().(*net.TCPAddr).AddrPort()}
	if s.tls != nil {
		inTLS := socket.Server(conn, nil, s.tls)
		inTLS.Decide()
		inTLS.SetDeadline(time.Now().Add(patience))
		if inTLS.Handshake() != nil {
			inTLS.Close()
			return
		}
		inTLS.SetDeadline(time.Time{})
		conn, info.TLS = inTLS, &proxy.TLSState{ServerName: "host.test"}
	}
	session := NewSession(conn, nil, info, s.options)
	s.mu.Lock()
	s.sessions = append(s.sessions, session)
	s.mu.Unlock()
	s.all.Go(session.Serve)
}

func (s *server) watch() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if !s.unwatched.Load() {
				s.each(func(one proxy.Session) { one.Check(proxy.Now()) })
			}
		}
	}
}

func (s *server) each(f func(proxy.Session)) {
	s.mu.Lock()
	all := slices.Clone(s.sessions)
	s.mu.Unlock()
	for _, one := range all {
		f(one)
	}
}

// seen tells whether an event has been told of, or is soon.
func (s *server) seen(e proxy.ConnEvent) bool {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		seen := slices.Contains(s.events, e)
		s.mu.Unlock()
		if seen || time.Now().After(end) {
			return seen
		}
	}
}

// close ends all sessions, as roughly as can be.
func (s *server) close() {
	s.listener.Close()
	s.accepting.Wait()
	s.each(func(one proxy.Session) { one.Kill() })
	s.shut()
}

// shut waits until all sessions have ended.
func (s *server) shut() {
	s.once.Do(func() {
		s.listener.Close()
		s.accepting.Wait()
		close(s.stop)
		s.all.Wait()
	})
}

func (s *server) url() string { return "http://" + s.listener.Addr().String() }

// client returns a net/http client that speaks HTTP/2 alone.
func (s *server) client() *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// peer is a client that sends frames as the test says.
type peer struct {
	t    testing.TB
	conn net.Conn
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
}

const patience = 30 * time.Second

func (s *server) dial() *peer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	p := &peer{t: s.t, conn: conn, Framer: http2.NewFramer(conn, conn)}
	p.AllowIllegalWrites, p.AllowIllegalReads = true, true
	p.enc = hpack.NewEncoder(&p.block)
	p.dec = hpack.NewDecoder(4096, nil)
	return p
}

// greet dials, and exchanges prefaces.
func (s *server) greet(settings ...http2.Setting) *peer {
	s.t.Helper()
	p := s.open(settings...)
	p.settle()
	return p
}

// open dials, and sends a preface.
func (s *server) open(settings ...http2.Setting) *peer {
	s.t.Helper()
	p := s.dial()
	p.send([]byte(preface))
	p.WriteSettings(settings...)
	return p
}

// ends reads until the connection has ended, which must be without a fault of ours.
func (p *peer) ends() {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			p.t.Fatal("the connection goes on")
		}
		if err != nil {
			return
		}
		if g, ok := f.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
			p.t.Fatal(g)
		}
	}
}

// settle reads until our SETTINGS are acknowledged.
func (p *peer) settle() {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			p.t.Fatalf("settling: %v", err)
		}
		if s, ok := f.(*http2.SettingsFrame); ok {
			if s.IsAck() {
				return
			}
			p.WriteSettingsAck()
		}
	}
}

func (p *peer) send(b []byte) { p.conn.Write(b) }

// encode returns a header block of names and values in turn.
func (p *peer) encode(fields ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.block.Bytes()
}

var get = []string{":method", "GET", ":scheme", "http", ":authority", "host.test", ":path", "/"}

var post = []string{":method", "POST", ":scheme", "http", ":authority", "host.test", ":path", "/"}

func with(fields []string, more ...string) []string { return append(slices.Clone(fields), more...) }

func (p *peer) headers(stream uint32, end bool, fields ...string) {
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.encode(fields...), EndHeaders: true, EndStream: end})
}

// answer is what became of a stream, or of the connection.
type answer struct {
	status   string
	headers  map[string]string
	trailers map[string]string
	body     []byte
	reset    http2.ErrCode
	goAway   http2.ErrCode
	wasReset bool
	wentAway bool
	closed   bool
	detail   string
	interim  []string
}

func (a answer) String() string {
	switch {
	case a.wentAway:
		return "GOAWAY " + a.goAway.String()
	case a.wasReset && a.status == "":
		return "RST " + a.reset.String()
	case a.closed:
		return "closed"
	}
	return a.status
}

// await reads until the stream has ended, or the connection. A window is given back.
func (p *peer) await(stream uint32) (a answer) {
	p.t.Helper()
	a.headers, a.trailers = map[string]string{}, map[string]string{}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.t.Fatalf("no answer on stream %d", stream)
			}
			a.closed = true
			return a
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				a.wentAway, a.goAway, a.detail = true, f.ErrCode, string(f.DebugData())
				return a
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				p.send(appendPing(nil, true, f.Data))
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				a.wasReset, a.reset = true, f.ErrCode
				return a
			}
		case *http2.HeadersFrame:
			fields := p.decode(f)
			if f.StreamID != stream {
				continue
			}
			to := a.headers
			if a.status != "" {
				to = a.trailers
			}
			for _, h := range fields {
				if h.Name == ":status" && h.Value[0] == '1' {
					a.interim = append(a.interim, h.Value)
					break
				}
				if h.Name == ":status" {
					a.status = h.Value
				}
				to[h.Name] = h.Value
			}
			if f.StreamEnded() {
				return a
			}
		case *http2.DataFrame:
			if n := len(f.Data()); n > 0 {
				// Not by the Framer, which another goroutine may be using.
				p.send(appendWindowUpdate(nil, 0, n))
				if !f.StreamEnded() && f.StreamID == stream {
					p.send(appendWindowUpdate(nil, f.StreamID, n))
				}
			}
			if f.StreamID != stream {
				continue
			}
			a.body = append(a.body, f.Data()...)
			if f.StreamEnded() {
				return a
			}
		}
	}
}

func (p *peer) decode(f *http2.HeadersFrame) []hpack.HeaderField {
	p.t.Helper()
	block := slices.Clone(f.HeaderBlockFragment())
	for ended := f.HeadersEnded(); !ended; {
		next, err := p.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		c := next.(*http2.ContinuationFrame)
		block, ended = append(block, c.HeaderBlockFragment()...), c.HeadersEnded()
	}
	fields, err := p.dec.DecodeFull(block)
	if err != nil {
		p.t.Fatalf("header block: %v", err)
	}
	return fields
}
