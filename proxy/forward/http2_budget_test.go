package forward_test

import (
	"bytes"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// In the steady state a request to an endpoint of HTTP/2 allocates nothing.
func TestHTTP2Allocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	body := strings.Repeat("b", 1024)
	many := make([]string, 22)
	for i := range many {
		many[i] = "X-Header: some value"
	}
	tests := map[string]struct{ request, response string }{
		"GET":             {get("User-Agent: test", "Accept: */*"), "ok"},
		"GET 1 KB":        {get(), body},
		"GET, 22 headers": {get(many...), "ok"},
		"POST 1 KB":       {post(body, "Content-Length: 1024"), "ok"},
		"POST chunked":    {chunkedPost("5\r\nhello\r\n0\r\n\r\n"), "ok"},
		"gRPC":            {call(body, "Grpc-Timeout: 9S"), "ok"},
		"gRPC-Web":        {post(body, "Content-Length: 1024", "Content-Type: application/grpc-web-text"), "ok"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := startOrigin(t, terseHTTP2(test.response))
			g := start(t, toHTTP2(o.addr), func(s *setup) { s.quiet = true })
			conn := dial(t, g).TCPConn
			conn.SetDeadline(time.Now().Add(4 * patience))
			request, end, buf := []byte(test.request), []byte(test.response), make([]byte, 16<<10)
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

// BenchmarkUpstream is a whole exchange over loopback, client and origin included, on 64
// connections of clients; cpu-µs/op is what the process needs of the processors.
func BenchmarkUpstream(b *testing.B) {
	body := strings.Repeat("b", 1024)
	for name, test := range map[string]struct {
		serve    func(*originConn)
		protocol router.Protocol
	}{
		"HTTP1": {terse("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + body), router.ProtocolHTTP1},
		"HTTP2": {terseHTTP2(body), router.ProtocolHTTP2},
	} {
		b.Run(name, func(b *testing.B) {
			o := startOrigin(b, test.serve)
			spec := toOrigin(o.addr)
			spec.Clusters[0].Protocol = test.protocol
			g := start(b, spec, func(s *setup) { s.quiet = true })
			request, end := []byte(get("User-Agent: test", "Accept: */*")), bytes.Repeat([]byte("b"), 64)
			b.SetParallelism(32)
			b.ReportAllocs()
			before := cpuTime()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				conn := dial(b, g).TCPConn
				buf := make([]byte, 16<<10)
				for pb.Next() {
					if err := exchangeLength(conn, request, end, buf, 1024); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(cpuTime()-before)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuTime() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// exchangeLength is exchange for a body of that length.
func exchangeLength(conn interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
}, request, end, buf []byte, length int) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	for n := 0; ; {
		m, err := conn.Read(buf[n:])
		if n += m; err != nil {
			return err
		}
		if at := bytes.Index(buf[:n], []byte("\r\n\r\n")); at > 0 && n-at-4 == length && bytes.HasSuffix(buf[:n], end) {
			return nil
		}
	}
}
