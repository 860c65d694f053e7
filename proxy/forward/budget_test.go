package forward_test

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// terse is an origin that allocates nothing: each request fits one read.
func terse(response string) func(*originConn) {
	answer := []byte(response)
	return func(c *originConn) {
		buf := make([]byte, 16<<10)
		for {
			if _, err := c.Conn.Read(buf); err != nil {
				return
			}
			if _, err := c.Conn.Write(answer); err != nil {
				return
			}
		}
	}
}

// exchange sends a request and reads until the answer ends as it should, and allocates
// nothing.
func exchange(conn net.Conn, request, end, buf []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	n := 0
	for {
		m, err := conn.Read(buf[n:])
		if n += m; err != nil {
			return err
		}
		if bytes.HasSuffix(buf[:n], end) {
			return nil
		}
	}
}

// In the steady state a proxied request allocates nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	body := string(bytes.Repeat([]byte("b"), 1024))
	many := make([]string, 22)
	for i := range many {
		many[i] = "X-Header: some value"
	}
	tests := map[string]struct{ request, response, end string }{
		"GET":              {get("User-Agent: test", "Accept: */*"), okResponse, "ok"},
		"GET 1 KB":         {get(), "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + body, body},
		"GET, 22 headers":  {get(many...), okResponse, "ok"},
		"POST 1 KB":        {post(body, "Content-Length: 1024"), okResponse, "ok"},
		"POST chunked":     {chunkedPost("5\r\nhello\r\n0\r\n\r\n"), okResponse, "ok"},
		"chunked response": {get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "0\r\n\r\n"},
		"direct 404":       {"", "", "request\n"},
		"told":             {get("traceparent: old", "x-b3-traceid: old", "x-b3-spanid: old"), "HTTP/1.1 200 OK\r\nServer: x\r\nX-Envoy-Peer-Metadata: them\r\nContent-Length: 2\r\n\r\nok", "ok"},
		"gRPC":             {call(message("hello")), "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: 0\r\nContent-Length: 7\r\n\r\n" + message("ok"), "ok"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := startOrigin(t, terse(test.response))
			spec := toOrigin(o.addr)
			if test.request == "" {
				spec, test.request = withRoutes(nil), get()
			}
			changes := []func(*setup){func(s *setup) { s.quiet = true }}
			if name == "told" {
				changes = append(changes, tracing(true), func(s *setup) { s.engine.PeerMetadata = "us" })
				spec.Clusters[0].Endpoints[0].Labels = map[string]string{"security.istio.io/tlsMode": "istio"}
			}
			g := start(t, spec, changes...)
			if name == "told" {
				g.engine.Capture([]string{"server", "content-length"}, []string{"x-trailer"})
			}
			conn := dial(t, g).TCPConn
			conn.SetDeadline(time.Now().Add(4 * patience))
			request, end, buf := []byte(test.request), []byte(test.end), make([]byte, 16<<10)
			run := func(n int) {
				for range n {
					if err := exchange(conn, request, end, buf); err != nil {
						t.Fatal(err)
					}
				}
			}
			run(500)
			const n = 5000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run(n)
			runtime.ReadMemStats(&after)
			per := float64(after.Mallocs-before.Mallocs) / n
			t.Logf("%.4f allocations a request", per)
			if per >= 0.1 {
				t.Errorf("%.2f allocations a request, want none", per)
			}
		})
	}
}

// soakTime is how long each soak runs: a second, or SLUICE_TEST_SOAK.
func soakTime(t *testing.T) time.Duration {
	if s := os.Getenv("SLUICE_TEST_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return time.Second
}

// watchdog fails the test, with all goroutines, when one of its beats is too old.
type watchdog struct {
	t     *testing.T
	beats []atomic.Int64
	stop  chan bool
	done  sync.WaitGroup
}

func watch(t *testing.T, n int) *watchdog {
	w := &watchdog{t: t, beats: make([]atomic.Int64, n), stop: make(chan bool)}
	for i := range w.beats {
		w.beat(i)
	}
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			for i := range w.beats {
				if since := time.Since(time.Unix(0, w.beats[i].Load())); since > patience {
					t.Errorf("client %d has waited for %v", i, since)
					pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
					return
				}
			}
		}
	}()
	return w
}

func (w *watchdog) beat(i int) { w.beats[i].Store(time.Now().UnixNano()) }

func (w *watchdog) end() { close(w.stop); w.done.Wait() }

// No wake-up is ever lost: whatever the number of processors and however busy they are, every
// request is answered in time.
func TestSoak(t *testing.T) {
	const clients = 64
	for _, procs := range []int{1, 2} {
		for name, busy := range map[string]bool{"": false, ", busy": true} {
			t.Run("GOMAXPROCS "+string(rune('0'+procs))+name, func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				o := startOrigin(t, terse(okResponse))
				g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
				if busy {
					contend(t, 100*time.Microsecond)
				}
				w := watch(t, clients)
				var total atomic.Int64
				var wg sync.WaitGroup
				until := time.Now().Add(soakTime(t))
				for i := range clients {
					wg.Add(1)
					go func() {
						defer wg.Done()
						total.Add(soakClient(t, w, i, g.addr, until))
					}()
				}
				wg.Wait()
				w.end()
				t.Logf("%d requests", total.Load())
			})
		}
	}
}

// soakClient sends requests until the time is up: on one connection, or (every fourth
// client) in short bursts on new ones.
func soakClient(t *testing.T, w *watchdog, i int, addr string, until time.Time) (n int64) {
	request, end, buf := []byte(get()), []byte("ok"), make([]byte, 4096)
	for time.Now().Before(until) {
		w.beat(i)
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return n
		}
		conn.SetDeadline(until.Add(2 * patience))
		for k := 0; time.Now().Before(until) && (i%4 != 0 || k < 5); k++ {
			w.beat(i)
			if err := exchange(conn, request, end, buf); err != nil {
				t.Errorf("request %d: %v", n, err)
				conn.Close()
				return n
			}
			n++
		}
		conn.Close()
	}
	w.beat(i)
	return n
}
