package http2_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/http2"
	"github.com/sluicegate/sluice/router"
)

const patience = 20 * time.Second

// gateway serves HTTP/2 in front of an origin that speaks HTTP/1.1, by the real engine, and
// returns where.
func gateway(t *testing.T, origin http.HandlerFunc) string {
	t.Helper()
	o := httptest.NewServer(origin)
	t.Cleanup(o.Close)
	spec := &router.Spec{
		Listeners: []*router.Listener{{Name: "main", Tables: []*router.RouteTable{{
			Name: "http.80", VirtualHosts: []*router.VirtualHost{{Name: "any", Domains: []string{"*"}, Routes: []*router.Route{{
				RouteAction: &router.RouteAction{Name: "all", Destinations: []router.Destination{{Cluster: "origin"}}, Policy: &router.RoutePolicy{Retry: &router.Retry{Attempts: 2, On: router.Retry5xx, Backoff: time.Millisecond}}},
			}}}},
		}}}},
		Clusters: []*router.Cluster{{Name: "origin", Endpoints: []*router.Endpoint{{Address: o.Listener.Addr().String()}}}},
	}
	table, problems := router.Build(spec, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	engine := forward.New(forward.Options{})
	engine.Publish(table)
	t.Cleanup(engine.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	options := http2.Options{Handler: engine}.WithDefaults()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			session := http2.NewSession(conn, nil, &proxy.Connection{Listener: "main", Remote: conn.RemoteAddr().(*net.TCPAddr).AddrPort()}, options)
			go session.Serve()
			t.Cleanup(session.Kill)
		}
	}()
	return l.Addr().String()
}

func client(t *testing.T) *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// TestBodiesThroughEngine: large ones arrive whole, both ways, whatever their framing.
func TestBodiesThroughEngine(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	addr := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Write(body)
	})
	for _, path := range []string{"/length", "/stream"} {
		res, err := client(t).Post("http://"+addr+path, "text/plain", bytes.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(body, large) {
			t.Errorf("%s: %d of %d bytes, %v", path, len(body), len(large), err)
		}
		res.Body.Close()
	}
}

// TestRetryThroughEngine: a request whose body came with it is sent again.
func TestRetryThroughEngine(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	addr := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if tries.Add(1) < 3 {
			w.WriteHeader(503)
			return
		}
		w.Write(body)
	})
	res, err := client(t).Post("http://"+addr+"/", "text/plain", strings.NewReader("again"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(body) != "again" || tries.Load() != 3 {
		t.Errorf("%d %q after %d tries", res.StatusCode, body, tries.Load())
	}
}

// TestTrailersThroughEngine: those of an origin reach a client that takes them.
func TestTrailersThroughEngine(t *testing.T) {
	t.Parallel()
	addr := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		w.Write([]byte("message"))
		w.Header().Set("Grpc-Status", "0")
	})
	r, _ := http.NewRequest("GET", "http://"+addr+"/", nil)
	r.Header.Set("TE", "trailers")
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.ReadAll(res.Body)
	if res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("trailers %v", res.Trailer)
	}
}

// TestWebSocketThroughEngine: an extended CONNECT becomes an upgrade of HTTP/1.1, bytes pass
// both ways, and the ends are passed on.
func TestWebSocketThroughEngine(t *testing.T) {
	t.Parallel()
	addr := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("Upgrade") != "websocket" || len(r.Header.Get("Sec-Websocket-Key")) != 24 {
			w.WriteHeader(400)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello ")
		rw.Flush()
		line, _ := bufio.NewReader(rw).ReadString('\n')
		conn.Write([]byte("you said " + line))
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, xhttp2.ClientPreface)
	f := xhttp2.NewFramer(conn, conn)
	f.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "CONNECT"}, {":scheme", "http"}, {":authority", "ws.test"}, {":path", "/chat"}, {":protocol", "websocket"}, {"sec-websocket-version", "13"}} {
		enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	f.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	var got []byte
	status := ""
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%v with %q", err, got)
		}
		switch frame := frame.(type) {
		case *xhttp2.HeadersFrame:
			fields, _ := hpack.NewDecoder(4096, nil).DecodeFull(frame.HeaderBlockFragment())
			status = fields[0].Value
			f.WriteData(1, false, []byte("good morning\n"))
		case *xhttp2.RSTStreamFrame, *xhttp2.GoAwayFrame:
			t.Fatalf("%v with %q", frame, got)
		case *xhttp2.DataFrame:
			got = append(got, frame.Data()...)
			if frame.StreamEnded() {
				if status != "200" || string(got) != "hello you said good morning\n" {
					t.Errorf("status %s, %q", status, got)
				}
				return
			}
		}
	}
}

// TestResetReachesOrigin: a client that gives up ends what the origin does for it.
func TestResetReachesOrigin(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	addr := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-r.Context().Done():
			close(ended)
		case <-time.After(patience):
		}
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, xhttp2.ClientPreface)
	f := xhttp2.NewFramer(conn, conn)
	f.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}} {
		enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	f.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	<-began
	f.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the origin still works for a client that has gone")
	}
}
