package protocols

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// bombs are header blocks that are small on the wire and large in memory. Each is called with
// the number of the request, from 0, and an encoder of the connection.
var bombs = []struct {
	name  string
	block func(n int, e *hpack.Encoder, b *bytes.Buffer)
}{
	{"references to a large field", func(n int, e *hpack.Encoder, b *bytes.Buffer) {
		if n == 0 {
			e.WriteField(hpack.HeaderField{Name: "x-large", Value: strings.Repeat("v", 3900)})
		}
		b.Write(bytes.Repeat([]byte{0x80 | 62}, 16000)) // the newest entry of the dynamic table
	}},
	{"references to a small field", func(n int, e *hpack.Encoder, b *bytes.Buffer) {
		if n == 0 {
			e.WriteField(hpack.HeaderField{Name: "a", Value: "b"})
		}
		b.Write(bytes.Repeat([]byte{0x80 | 62}, 16000))
	}},
	{"cookie crumbs", func(n int, e *hpack.Encoder, b *bytes.Buffer) {
		if n == 0 {
			e.WriteField(hpack.HeaderField{Name: "cookie", Value: ""})
		}
		b.Write(bytes.Repeat([]byte{0x80 | 62}, 16000))
	}},
	{"just within the limits", func(n int, e *hpack.Encoder, b *bytes.Buffer) {
		if n == 0 {
			e.WriteField(hpack.HeaderField{Name: "x-large", Value: strings.Repeat("v", 3900)})
		}
		b.Write(bytes.Repeat([]byte{0x80 | 62}, 14))
	}},
}

// TestHeaderBombs: hardening row 50. 7 MB of header blocks that unpack to gigabytes, on one
// connection after another where the gateway ends one, leave it about as small as it was.
func TestHeaderBombs(t *testing.T) {
	// The endpoint answers nothing, so that whatever is let in stays.
	release := make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(origin.Close)
	t.Cleanup(func() { close(release) })
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	for _, bomb := range bombs {
		t.Run(bomb.name, func(t *testing.T) {
			g := start(t, fmt.Sprintf(h2specManifests, port)+newAuthority(t).secret(t, "spec", "spec.test"), []int{80, 443})
			if resp, err := http.Get("http://" + g.at(80) + "/direct"); err == nil {
				resp.Body.Close()
			}
			before, most, total, conns := g.resident(t), 0, 0, 0
			for total < 7<<20 && conns < 200 {
				conns++
				n, err := throw(t, g.at(80), 7<<20-total, bomb.block, func() { most = max(most, g.resident(t)) })
				total += n
				if err != nil && n == 0 {
					t.Fatal(err)
				}
				if bomb.name == "just within the limits" {
					break
				}
			}
			most = max(most, g.resident(t))
			t.Logf("%d KB of header blocks on %d connections: from %d to %d KB at most", total>>10, conns, before, most)
			if grown := most - before; grown > 6<<10 {
				t.Errorf("the gateway grew by %d KB", grown)
			}
		})
	}
}

// throw sends requests until the bytes are gone or the connection is, and returns how many
// bytes went out.
func throw(t *testing.T, address string, size int, block func(int, *hpack.Encoder, *bytes.Buffer), look func()) (sent int, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, nil)
	f.WriteSettings()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, conn)
	}()
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for n := 0; sent < size; n++ {
		b.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "spec.test"}} {
			e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1], Sensitive: true})
		}
		block(n, e, &b)
		data := b.Bytes()
		first := data[:min(len(data), 16384)]
		err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*n + 1), BlockFragment: first, EndHeaders: len(first) == len(data), EndStream: true})
		if err == nil && len(first) < len(data) {
			err = f.WriteContinuation(uint32(2*n+1), true, data[len(first):])
		}
		if err != nil {
			break
		}
		sent += len(data)
		if n%20 == 0 {
			look()
		}
		if n > 150 && len(data) < 1000 {
			break
		}
	}
	look()
	return sent, err
}

// TestPrefaceTimes: hardening row 54. A client that begins with HTTP/2's preface, and then
// nothing, has as long as one has for a head, and no longer.
func TestPrefaceTimes(t *testing.T) {
	t.Parallel()
	g := start(t, fmt.Sprintf(h2specManifests, "1")+newAuthority(t).secret(t, "spec", "spec.test"), []int{80, 443}, "--header-timeout", "1s")
	for name, begin := range map[string]string{
		"one byte":         "P",
		"half the preface": http2.ClientPreface[:10],
		"no settings":      http2.ClientPreface,
		"half a frame":     http2.ClientPreface + "\x00\x00\x06\x04",
		"half a head":      http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn, err := net.Dial("tcp", g.at(80))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, begin)
			if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Error(err)
			}
			if took := time.Since(began); took < 900*time.Millisecond || took > 25*time.Second {
				t.Errorf("it ended after %v", took)
			}
		})
	}
}

// TestFloods: hardening rows 46 to 49. Each flood ends its connection with ENHANCE_YOUR_CALM,
// is counted by its name, and does not disturb another connection.
func TestFloods(t *testing.T) {
	t.Parallel()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	g := start(t, fmt.Sprintf(h2specManifests, port)+newAuthority(t).secret(t, "spec", "spec.test"), []int{80, 443})
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "spec.test"}} {
		e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1], Sensitive: true})
	}
	head := b.Bytes()
	open := func(f *http2.Framer, n int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*n + 1), BlockFragment: head, EndHeaders: true})
	}
	for _, tc := range []struct {
		row   int
		event string
		do    func(f *http2.Framer, n int) error
	}{
		{46, "http2_rapid_reset", func(f *http2.Framer, n int) error {
			open(f, n)
			return f.WriteRSTStream(uint32(2*n+1), http2.ErrCodeCancel)
		}},
		{47, "http2_rapid_reset", func(f *http2.Framer, n int) error {
			open(f, n)
			return f.WriteRawFrame(http2.FrameWindowUpdate, 0, uint32(2*n+1), make([]byte, 4))
		}},
		{48, "http2_header_flood", func(f *http2.Framer, n int) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			return f.WriteContinuation(1, false, []byte{0x82})
		}},
		{48, "http2_empty_flood", func(f *http2.Framer, n int) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			return f.WriteContinuation(1, false, nil)
		}},
		{49, "http2_empty_flood", func(f *http2.Framer, n int) error {
			if n == 0 {
				return open(f, 0)
			}
			return f.WriteData(1, false, nil)
		}},
		{49, "http2_control_flood", func(f *http2.Framer, _ int) error { return f.WriteSettings() }},
		{49, "http2_priority_flood", func(f *http2.Framer, n int) error {
			return f.WritePriority(1, http2.PriorityParam{StreamDep: uint32(n + 2)})
		}},
		{49, "http2_window_update_flood", func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) }},
	} {
		t.Run(fmt.Sprintf("row %d %s", tc.row, tc.event), func(t *testing.T) {
			before := g.events(t, tc.event)
			conn := dialH2(t, g.at(80), nil)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, http2.ClientPreface)
			f := http2.NewFramer(conn, conn)
			f.WriteSettings()
			go func() {
				for n := 0; n < 100_000 && tc.do(f, n) == nil; n++ {
				}
			}()
			for calm := false; !calm; {
				frame, err := f.ReadFrame()
				if err != nil {
					// The end may overtake the words, where more comes than is read.
					break
				}
				if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
					if calm = true; away.ErrCode != http2.ErrCodeEnhanceYourCalm {
						t.Errorf("GOAWAY %v %s", away.ErrCode, away.DebugData())
					}
				}
			}
			until(t, tc.event+" is counted", func() bool { return g.events(t, tc.event) == before+1 })

			resp, err := http.DefaultClient.Do(request(t, "http://"+g.at(80)+"/"))
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("another connection: %v %v", resp, err)
			}
			resp.Body.Close()
		})
	}
}
