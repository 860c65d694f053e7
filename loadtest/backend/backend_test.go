package backend

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// TestMain lets the test binary be the command, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && Commands[os.Args[1]] != nil {
		if err := Commands[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, site work.Site) []string {
	t.Helper()
	addrs, stop, err := Start(t.Context(), site, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return addrs
}

func get(t *testing.T, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestHTTP1 has every kind of body be read whole: what follows on the connection is answered.
func TestHTTP1(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	for _, size := range []int{0, 1024, 3 << 20} {
		addr := start(t, work.Site{Body: size})[0]
		for i, body := range []io.Reader{
			nil, strings.NewReader("short"), bytes.NewReader(make([]byte, 1<<20)),
			io.MultiReader(strings.NewReader("in"), strings.NewReader("chunks")), io.LimitReader(zeros{}, 300<<10), nil,
		} {
			resp, got := get(t, client, request(t, "POST", "http://"+addr+"/", body))
			if resp.StatusCode != 200 || len(got) != size || strings.Trim(got, "x") != "" {
				t.Errorf("body %d: %s with %d bytes, not 200 with %d", i, resp.Status, len(got), size)
			}
		}
		if resp, got := get(t, client, request(t, "HEAD", "http://"+addr+"/", nil)); resp.ContentLength != int64(size) || got != "" {
			t.Errorf("HEAD: length %d, body %q", resp.ContentLength, got)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestPipeline has requests that come in one write, and in single bytes, each be answered, and
// the connection end when it is to.
func TestPipeline(t *testing.T) {
	t.Parallel()
	addr := start(t, work.Site{Body: 10})[0]
	text := strings.Repeat("POST /a HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\n\r\nabc", 3) +
		"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, step := range []int{1, len(text)} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		go func() {
			for part := range slices.Chunk([]byte(text), step) {
				c.Write(part)
			}
		}()
		all, err := io.ReadAll(c)
		if n := bytes.Count(all, []byte("HTTP/1.1 200 OK")); err != nil || n != 5 || bytes.Count(all, []byte("xxxxxxxxxx")) != 5 {
			t.Errorf("in steps of %d: %d answers, not 5, and %v", step, n, err)
		}
	}
}

// TestEcho has each backend show what it got, and who it is.
func TestEcho(t *testing.T) {
	t.Parallel()
	for i, addr := range start(t, work.Site{Weights: []int{1, 2}}) {
		req := request(t, "GET", "http://"+addr+"/path?"+Echo, nil)
		req.Header.Set("X-Test", "told")
		_, got := get(t, http.DefaultClient, req)
		if !strings.HasPrefix(got, fmt.Sprintf("backend %d\r\nGET /path?echo HTTP/1.1\r\n", i)) || !strings.Contains(got, "X-Test: told\r\n") {
			t.Errorf("backend %d: %q", i, got)
		}
	}
}

// h2c is a client of HTTP/2 without TLS.
func h2c() *http.Client {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

// TestGRPC has messages be answered one by one, while the call goes on, and beyond every window.
func TestGRPC(t *testing.T) {
	t.Parallel()
	const size = 20000 // more than a frame, and a few more than a window
	addr := start(t, work.Site{Body: size, Upstream: work.UpstreamGRPC})[0]
	client := h2c()
	in, out := io.Pipe()
	req := request(t, "POST", "http://"+addr+"/call", in)
	message := append([]byte{0, 0, 0, 0, 3}, "abc"...)
	go out.Write(message)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := make([]byte, 5+size)
	for i := range 20 {
		if i > 0 {
			out.Write(message)
		}
		if _, err := io.ReadFull(resp.Body, answer); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if answer[0] != 0 || int(answer[2])<<16|int(answer[3])<<8|int(answer[4]) != size || answer[len(answer)-1] != 'x' {
			t.Fatalf("answer %d begins %v", i, answer[:5])
		}
	}
	out.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("at the end %q, %v, %v", rest, err, resp.Trailer)
	}
	for range 3 { // on the same connection
		resp, got := get(t, client, request(t, "POST", "http://"+addr+"/call", bytes.NewReader(message)))
		if len(got) != 5+size || resp.Trailer.Get("Grpc-Status") != "0" || resp.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("%d bytes, %v, %v", len(got), resp.Header, resp.Trailer)
		}
	}
	_, got := get(t, client, request(t, "GET", "http://"+addr+"/path?"+Echo, nil))
	if !strings.HasPrefix(got, "backend 0\r\nGET /path?echo HTTP/2.0\r\nHost: "+addr) {
		t.Errorf("echo: %q", got)
	}
}

// TestWebSocket has messages of every length come back, and the close as well.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	addr := start(t, work.Site{Body: 100, Upgrades: true})[0]
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	read := func(n int) []byte {
		t.Helper()
		p := make([]byte, n)
		if _, err := io.ReadFull(c, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if head := read(129); !bytes.Contains(head, []byte("101 Switching")) || !bytes.Contains(head, []byte("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")) {
		t.Fatalf("%q", head)
	}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		data := bytes.Repeat([]byte{'m'}, n)
		frame := appendFrame(nil, 0x82, data)
		want := slices.Clone(frame)
		frame[1] |= 0x80
		head := len(frame) - n
		for i := range n {
			frame[head+i] ^= "mask"[i&3]
		}
		go c.Write(slices.Concat(frame[:head], []byte("mask"), frame[head:]))
		if !bytes.Equal(read(len(want)), want) {
			t.Errorf("a message of %d bytes comes back as another", n)
		}
	}
	c.Write([]byte{0x89, 0x80, 0, 0, 0, 0, 0x88, 0x80, 0, 0, 0, 0})
	if rest, err := io.ReadAll(c); err != nil || !bytes.Equal(rest, []byte{0x8a, 0, 0x88, 0}) {
		t.Errorf("after ping and close comes %x, %v", rest, err)
	}
}

// TestTCP has more bytes come back than buffers hold.
func TestTCP(t *testing.T) {
	t.Parallel()
	addr := start(t, work.Site{Upstream: work.UpstreamTCP})[0]
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	c.(*net.TCPConn).SetReadBuffer(64 << 10) // so that the backend must wait
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	go c.Write(data)
	got := make([]byte, len(data))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes come back, %v", err)
	}
}

// TestCommand has the process of its own serve, and end with its standard input.
func TestCommand(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "backend", "--body", "7")
	life, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	if _, got := get(t, http.DefaultClient, request(t, "GET", "http://"+strings.TrimSpace(string(line[:n]))+"/", nil)); got != "xxxxxxx" {
		t.Errorf("the answer is %q", got)
	}
	life.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestChunked holds the reading of chunks to their grammar.
func TestChunked(t *testing.T) {
	for in, want := range map[string]int{
		"0\r\n\r\n": 5, "3\r\nabc\r\n0\r\n\r\nGET": 13, "3;x=y\r\nabc\r\n0\r\n\r\n": 17,
		"": 0, "3": 0, "3\r\nab": 0, "3\r\nabc\r\n": 0, "3\r\nabc\r\n0\r\n": 0, "A\r\n0123456789\r\n0\r\n\r\n": 20,
	} {
		if got := chunked([]byte(in)); got != want {
			t.Errorf("%q: %d, not %d", in, got, want)
		}
	}
}

// BenchmarkHTTP1 is the cost of an exchange without a proxy, both sides in one.
func BenchmarkHTTP1(b *testing.B) {
	addrs, stop, err := Start(b.Context(), work.Site{Body: 1024}, "")
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	c, err := net.Dial("tcp", addrs[0])
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	in := make([]byte, 4096)
	for b.Loop() {
		io.WriteString(c, "GET /r0/ HTTP/1.1\r\nHost: h0.example.com\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n")
		for total := 0; total < 1024; {
			n, err := c.Read(in)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
	}
}
