package tcp

import (
	"io"
	"net"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// benchmarked serves plain and TLS clients of an endpoint.
func benchmarked(b *testing.B, serve func(net.Conn), run func(b *testing.B, dial func() net.Conn)) {
	for _, c := range carriers[:2] {
		b.Run(c.name, func(b *testing.B) {
			h := newBench(b, func(h *bench) {
				h.options.OnComplete = nil
				if c.client {
					h.tls = serverTLS()
				}
			})
			h.publish([]*router.StreamRoute{{Name: "r", IdleTimeout: -1, Destinations: []router.Destination{{Cluster: "a"}}}},
				cluster("a", nil, endpoint(b, c.endpoint, serve)))
			b.ReportAllocs()
			run(b, h.dial)
		})
	}
}

// BenchmarkTransfer moves a megabyte at a time to the client; both ends are in the figure.
func BenchmarkTransfer(b *testing.B) {
	block := make([]byte, 1<<20)
	benchmarked(b, func(conn net.Conn) {
		for {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}, func(b *testing.B, dial func() net.Conn) {
		conn := dial()
		buf := make([]byte, len(block))
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			if _, err := io.ReadFull(conn, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRoundTrip has a small question answered.
func BenchmarkRoundTrip(b *testing.B) {
	benchmarked(b, echo, func(b *testing.B, dial func() net.Conn) {
		conn := dial()
		buf := make([]byte, 100)
		for b.Loop() {
			if _, err := conn.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(conn, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConnection connects, is greeted, and ends.
func BenchmarkConnection(b *testing.B) {
	benchmarked(b, func(conn net.Conn) { io.WriteString(conn, "hello") }, func(b *testing.B, dial func() net.Conn) {
		for b.Loop() {
			conn := dial()
			io.ReadAll(conn)
			conn.Close()
		}
	})
}
