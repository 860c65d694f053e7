package http2

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

var kilobyte = make([]byte, 1024)

// fixed answers every request with a kilobyte.
var fixed = handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
	headers := append(ex.LocalHeaders(), router.Header{Name: "content-type", Value: "text/plain"}, router.Header{Name: "server", Value: "bench"})
	ex.Reply = proxy.Response{Status: 200, Headers: headers, Body: proxy.Body{Kind: proxy.BodyLength, Length: 1024}}
	down.Respond(ex, &ex.Reply, kilobyte, true)
})

// load sends n requests, so many at a time, and reads the answers with as little work as can be.
func load(tb testing.TB, addr string, n, streams int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte(preface))
	out := appendSettings(nil, setting{settingInitialWindowSize, 1 << 30})
	out = appendWindowUpdate(out, 0, 1<<30)
	out = appendSettingsAck(out)
	conn.Write(out)
	enc := newEncoder()
	var block []byte
	next := uint32(1)
	batch := func(k int) []byte {
		out = out[:0]
		for range k {
			block = block[:0]
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "bench.test"}, {":path", "/one/two?three=4"}, {"user-agent", "bench/1"}, {"accept", "*/*"}} {
				block = enc.appendField(block, f[0], f[1])
			}
			out = appendFrameHeader(out, len(block), frameHeaders, flagEndHeaders|flagEndStream, next)
			out = append(out, block...)
			next += 2
		}
		return out
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	var header [9]byte
	sent, done := min(streams, n), 0
	conn.Write(batch(sent))
	for done < n {
		ended := 0
		for {
			if _, err := io.ReadFull(in, header[:]); err != nil {
				tb.Fatal(err)
			}
			h := parseFrameHeader(header[:])
			if h.kind == frameReset || h.kind == frameGoAway {
				var b [8]byte
				io.ReadFull(in, b[:4])
				tb.Fatalf("%v %d", h, binary.BigEndian.Uint32(b[:]))
			}
			in.Discard(h.length)
			if (h.kind == frameData || h.kind == frameHeaders) && h.has(flagEndStream) {
				ended++
			}
			if in.Buffered() < 9 && ended > 0 {
				break
			}
		}
		done += ended
		if k := min(ended, n-sent); k > 0 {
			sent += k
			if _, err := conn.Write(batch(k)); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

func BenchmarkServer(b *testing.B) {
	for _, streams := range []int{1, 32} {
		name := map[int]string{1: "one", 32: "32-streams"}[streams]
		b.Run("ours/"+name, func(b *testing.B) {
			s := serve(b, Options{Handler: fixed})
			b.ReportAllocs()
			load(b, s.listener.Addr().String(), b.N, streams)
		})
		b.Run("net-http/"+name, func(b *testing.B) {
			var p http.Protocols
			p.SetUnencryptedHTTP2(true)
			srv := &http.Server{Protocols: &p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Server", "bench")
				w.Write(kilobyte)
			})}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go srv.Serve(l)
			defer srv.Close()
			b.ReportAllocs()
			load(b, l.Addr().String(), b.N, streams)
		})
	}
}
