package generate

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sluicegate/sluice/loadtest/work"
)

// serve starts a server of HTTP/1.1 and HTTP/2, inside TLS or not, and returns its address.
func serve(t *testing.T, inTLS bool, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.EnableHTTP2 = true
	// Small windows, so that uploads meet them.
	s.Config.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerConnection: 65536, MaxReceiveBufferPerStream: 20_000}
	if inTLS {
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

// listen accepts connections and hands them on.
func listen(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().String()
}

// body answers with so many bytes, after reading what was sent.
func body(n int) http.HandlerFunc {
	text := strings.Repeat("x", n)
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		io.WriteString(w, text)
	}
}

func load(addr string, p work.Protocol, want int) Load {
	return Load{
		Target:      Target{Addr: addr, Host: "h0.example.com", Path: "/r0/", Protocol: p},
		Connections: 4, Rate: 400, Duration: 200 * time.Millisecond, Want: want,
	}
}

// open offers a load and demands that all of it is answered.
func open(t *testing.T, l Load) Result {
	t.Helper()
	res, err := Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if res.Failed > 0 {
		t.Fatalf("%d requests failed: %s", res.Failed, res.Problem)
	}
	if want := int(l.Duration.Seconds() * float64(l.Rate)); res.Requests != want || res.Latency.Count() != want {
		t.Fatalf("%d requests, %d times; want %d", res.Requests, res.Latency.Count(), want)
	}
	return res
}

// TestProtocols offers each protocol to a server that answers as it should.
func TestProtocols(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		name    string
		tls     bool
		handler http.HandlerFunc
		load    Load
	}{
		{"http1", false, body(1000), load("", work.HTTP1, 1000)},
		{"http1 big", false, body(1 << 20), load("", work.HTTP1, 1<<20)},
		{"http1 empty", false, body(0), load("", work.HTTP1, 0)},
		{"http1 close", false, body(1000), load("", work.HTTP1Close, 1000)},
		{"https", true, body(1000), load("", work.HTTPS, 1000)},
		{"https big", true, body(1 << 20), load("", work.HTTPS, 1<<20)},
		{"handshake", true, body(10), load("", work.Handshake, 10)},
		{"resumption", true, body(10), load("", work.Resumption, 10)},
		{"http2", true, body(1000), load("", work.HTTP2, 1000)},
		{"http2 without TLS", false, body(100_000), load("", work.HTTP2, 100_000)},
		{"websocket", false, echo, load("", work.WebSocket, 100)},
		{"websocket in TLS", true, echo, load("", work.WebSocket, 1000)},
		{"grpc unary", false, echoCalls, load("", work.GRPCUnary, 100)},
		{"grpc unary in TLS", true, echoCalls, load("", work.GRPCUnary, 100)},
		{"grpc stream", false, echoCalls, load("", work.GRPCStream, 200)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := c.load
			l.Addr, l.TLS, l.Streams = serve(t, c.tls, c.handler), c.tls, 4
			if l.Want > 100_000 {
				l.Rate = 50
			}
			ready := 0
			l.Ready = func() { ready++ }
			res := open(t, l)
			if ready != 1 {
				t.Errorf("Ready was called %d times", ready)
			}
			if res.Elapsed < 150*time.Millisecond {
				t.Errorf("all was over in %s", res.Elapsed)
			}
			l.Rate, l.Ready = 0, nil
			if res, err := l.run(t.Context(), false); err != nil || res.Failed > 0 || res.Requests < 4 {
				t.Errorf("as much as it bears: %+v, %v", res.Requests, err)
			}
		})
	}
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		open(t, load(listen(t, func(c net.Conn) { io.Copy(c, c) }), work.TCP, 100))
	})
}

// echoCalls answers each gRPC message with itself.
func echoCalls(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	b := make([]byte, 1<<12)
	for {
		n, err := r.Body.Read(b)
		w.Write(b[:n])
		w.(http.Flusher).Flush()
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
}

// TestUpload sends bodies, and counts them where they arrive.
func TestUpload(t *testing.T) {
	for _, p := range []work.Protocol{work.HTTP1, work.HTTPS, work.HTTP2} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			var wrong atomic.Int64
			l := load(serve(t, p == work.HTTPS, func(w http.ResponseWriter, r *http.Request) {
				if n, _ := io.Copy(io.Discard, r.Body); n != 200_000 || r.Method != "POST" {
					wrong.Add(1)
				}
			}), p, 0)
			l.Upload, l.Rate = 200_000, 100
			open(t, l)
			if n := wrong.Load(); n > 0 {
				t.Errorf("%d requests had another body", n)
			}
		})
	}
}

// TestSpread asks for many hosts and routes, and for nothing else.
func TestSpread(t *testing.T) {
	for _, p := range []work.Protocol{work.HTTP1, work.HTTP2} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			var lock sync.Mutex
			count := map[string]int{}
			l := load(serve(t, false, func(_ http.ResponseWriter, r *http.Request) {
				lock.Lock()
				defer lock.Unlock()
				count[r.Host+r.URL.Path]++
			}), p, 0)
			l.Hosts, l.RoutesPerHost, l.Rate = 3, 2, 1000
			open(t, l)
			lock.Lock()
			defer lock.Unlock()
			for host := range 3 {
				for route := range 2 {
					name := fmt.Sprintf("h%d.example.com/r%d/", host, route)
					if count[name] < 10 {
						t.Errorf("%s was asked for %d times of 200", name, count[name])
					}
					delete(count, name)
				}
			}
			if len(count) > 0 {
				t.Errorf("nobody should have asked for %v", count)
			}
		})
	}
}

// TestLateIsCounted has the server stall once: the requests that came due meanwhile count from
// when they did, not from when they were sent.
func TestLateIsCounted(t *testing.T) {
	t.Parallel()
	for _, p := range []work.Protocol{work.HTTP1, work.HTTP1Close, work.HTTPS, work.HTTP2, work.GRPCUnary, work.Handshake, work.Resumption} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			testLate(t, p)
		})
	}
}

func testLate(t *testing.T, p work.Protocol) {
	const stall = 1500 * time.Millisecond
	inTLS := p == work.HTTPS || p == work.Handshake || p == work.Resumption
	// Where the machine itself stalls, the generator is late indeed: then it is tried again.
	for range 5 {
		var n atomic.Int64
		l := load(serve(t, inTLS, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 20 {
				time.Sleep(stall)
			}
			if p == work.GRPCUnary {
				echoCalls(w, r)
			}
		}), p, 0)
		l.Connections, l.Rate, l.Duration = 1, 200, 2500*time.Millisecond
		res := open(t, l)
		// Of 500 requests, 300 came due during the stall, and waited for 750 ms on average.
		if got := res.Latency.Quantile(.99); got < stall*9/10 {
			t.Errorf("p99 is %s, after a stall of %s", got, stall)
		}
		if got := res.Latency.Quantile(.65); got < stall/4 {
			t.Errorf("p65 is %s: those that were late count from when they were sent", got)
		}
		if res.Lag <= stall/5 {
			return
		}
		t.Logf("the generator calls itself %s late", res.Lag)
	}
	t.Error("the generator calls itself late each time: it was the server")
}

// TestRateIsKept measures when requests arrive: none before it is due, and the last at the end.
func TestRateIsKept(t *testing.T) {
	var arrived, early atomic.Int64
	var began atomic.Pointer[time.Time]
	var l Load
	l = load(serve(t, false, func(http.ResponseWriter, *http.Request) {
		n := arrived.Add(1) - 1
		if time.Since(*began.Load()) < time.Duration(n)*time.Second/time.Duration(l.Rate) {
			early.Add(1)
		}
	}), work.HTTP1, 0)
	l.Duration = 500 * time.Millisecond
	l.Ready = func() {
		now := time.Now()
		began.Store(&now)
	}
	open(t, l)
	if n := early.Load(); n > 0 {
		t.Errorf("%d requests of %d came before they were due", n, arrived.Load())
	}
}
