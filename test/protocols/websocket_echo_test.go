package protocols

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// wsServer is a server of WebSockets that does what the path of a request says.
type wsServer struct {
	// ends has what each WebSocket at /ends ended with.
	ends chan error
	mu   sync.Mutex
	open map[*websocket.Conn]bool
}

func newWSServer() *wsServer {
	return &wsServer{ends: make(chan error, 100), open: map[*websocket.Conn]bool{}}
}

// ServeHTTP implements http.Handler.
func (o *wsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/refused":
		http.Error(w, "no", http.StatusForbidden)
		return
	case "/bytes", "/behind":
		o.bytes(w, r)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true,
		Subprotocols: []string{"soap", "chat"}, CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 64})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	o.mu.Lock()
	o.open[c] = true
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(o.open, c)
		o.mu.Unlock()
	}()
	ctx := context.Background()
	switch r.URL.Path {
	case "/close":
		c.Close(websocket.StatusCode(digits(r.URL.Query().Get("code"))), r.URL.Query().Get("reason"))
		return
	case "/ping":
		ctx := c.CloseRead(ctx)
		text := "pong came"
		if err := c.Ping(ctx); err != nil {
			text = err.Error()
		}
		c.Write(ctx, websocket.MessageText, []byte(text))
		<-ctx.Done()
		return
	case "/first":
		c.Write(ctx, websocket.MessageText, []byte("server first"))
	}
	for {
		kind, m, err := c.Reader(ctx)
		if err == nil {
			var out io.WriteCloser
			if out, err = c.Writer(ctx, kind); err == nil {
				if _, err = io.Copy(out, m); err == nil {
					err = out.Close()
				}
			}
		}
		if err != nil {
			if r.URL.Path == "/ends" {
				o.ends <- err
			}
			return
		}
	}
}

// bytes sends back what comes behind the handshake as it comes, whatever it is, and at /behind
// has its first words leave in one piece with the answer.
func (o *wsServer) bytes(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	accept := acceptKey(r.Header.Get("Sec-WebSocket-Key"))
	if r.URL.Path == "/behind" && r.ProtoMajor == 1 && r.Body == http.NoBody {
		if h, ok := w.(http.Hijacker); ok {
			if _, stream := w.(*streamWriter); !stream {
				conn, both, err := h.Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+accept+"\r\n\r\n"+"right behind;")
				io.Copy(conn, both)
				return
			}
		}
	}
	w.Header().Set("Sec-WebSocket-Accept", accept)
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, both, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if r.URL.Path == "/behind" {
		io.WriteString(conn, "right behind;")
	}
	io.Copy(conn, both)
}

// connections returns how many WebSockets are open.
func (o *wsServer) connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.open)
}

// die ends every WebSocket without a word.
func (o *wsServer) die() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.open {
		c.CloseNow()
	}
}

// dial opens a WebSocket.
func (w wsTransport) dial(ctx context.Context, path string, compress bool) (*websocket.Conn, *http.Response, error) {
	o := &websocket.DialOptions{HTTPClient: &http.Client{Transport: w.round}, Host: "ws.example.com", Subprotocols: []string{"chat"}}
	if compress {
		o.CompressionMode, o.CompressionThreshold = websocket.CompressionContextTakeover, 64
	}
	c, resp, err := websocket.Dial(ctx, w.url+path, o)
	if err == nil {
		c.SetReadLimit(-1)
	}
	return c, resp, err
}

// mustDial is dial for what must succeed.
func (w wsTransport) mustDial(t testing.TB, path string) *websocket.Conn {
	t.Helper()
	c, _, err := w.dial(within(t), path, false)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// behaviours are what a pair of client and server can be seen to do, each as a line or more.
var behaviours = []struct {
	name string
	do   func(ctx context.Context, w wsTransport) (string, error)
}{
	{"handshake", func(ctx context.Context, w wsTransport) (string, error) {
		c, resp, err := w.dial(ctx, "/echo", true)
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		return fmt.Sprintf("%s, %s", c.Subprotocol(), resp.Header.Get("Sec-WebSocket-Extensions")), nil
	}},
	{"refused", func(ctx context.Context, w wsTransport) (string, error) {
		c, resp, err := w.dial(ctx, "/refused", false)
		if err == nil {
			c.CloseNow()
			return "accepted", nil
		}
		if resp == nil {
			return "", err
		}
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, body), nil
	}},
	{"sizes", echoes(false, 0, 1, 125, 126, 65535, 65536, 1<<20)},
	{"sizes, permessage-deflate", echoes(true, 0, 1, 125, 126, 65535, 65536, 1<<20)},
	{"16 MB", echoes(false, 16<<20)},
	{"16 MB, permessage-deflate", echoes(true, 16<<20)},
	{"fragments", func(ctx context.Context, w wsTransport) (string, error) {
		c, _, err := w.dial(ctx, "/echo", false)
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		errs := make(chan error, 1)
		go func() {
			m, err := c.Writer(ctx, websocket.MessageText)
			for i := 0; err == nil && i < 40; i++ {
				_, err = io.WriteString(m, strings.Repeat(fmt.Sprintf("%03d.", i), 1000))
			}
			if err == nil {
				err = m.Close()
			}
			errs <- err
		}()
		kind, got, err := c.Read(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%v %d %.20s", kind, len(got), got[len(got)/2:]), <-errs
	}},
	{"many small ones", func(ctx context.Context, w wsTransport) (string, error) {
		c, _, err := w.dial(ctx, "/echo", false)
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		const n = 2000
		errs := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				err = c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "message %d", i))
			}
			errs <- err
		}()
		for i := range n {
			_, got, err := c.Read(ctx)
			if err != nil {
				return "", err
			}
			if string(got) != fmt.Sprintf("message %d", i) {
				return fmt.Sprintf("%q in place of %d", got, i), nil
			}
		}
		return "in order", <-errs
	}},
	{"client pings", func(ctx context.Context, w wsTransport) (string, error) {
		c, _, err := w.dial(ctx, "/echo", false)
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		c.CloseRead(ctx)
		return "pong came", c.Ping(ctx)
	}},
	{"server pings", func(ctx context.Context, w wsTransport) (string, error) { return firstMessage(ctx, w, "/ping") }},
	{"server speaks first", func(ctx context.Context, w wsTransport) (string, error) { return firstMessage(ctx, w, "/first") }},
	{"server closes", func(ctx context.Context, w wsTransport) (string, error) {
		var seen []string
		for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 4999} {
			c, _, err := w.dial(ctx, fmt.Sprintf("/close?code=%d&reason=because+%d", code, code), false)
			if err != nil {
				return "", err
			}
			_, _, err = c.Read(ctx)
			seen = append(seen, fmt.Sprint(err))
			c.CloseNow()
		}
		return strings.Join(seen, "\n"), nil
	}},
	{"client closes", func(ctx context.Context, w wsTransport) (string, error) {
		var seen []string
		for _, code := range []websocket.StatusCode{1000, 1001, 1008, 3000, 4999} {
			c, _, err := w.dial(ctx, "/echo", false)
			if err != nil {
				return "", err
			}
			seen = append(seen, fmt.Sprint(c.Close(code, "enough")))
		}
		return strings.Join(seen, "\n"), nil
	}},
	{"any bytes", func(ctx context.Context, w wsTransport) (string, error) { return bytesBack(ctx, w, "/bytes") }},
	{"server first, right behind the answer", func(ctx context.Context, w wsTransport) (string, error) { return bytesBack(ctx, w, "/behind") }},
}

// echoes sends messages of these sizes and compares what comes back.
func echoes(compress bool, sizes ...int) func(context.Context, wsTransport) (string, error) {
	return func(ctx context.Context, w wsTransport) (string, error) {
		c, _, err := w.dial(ctx, "/echo", compress)
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		var seen []string
		for _, size := range sizes {
			want := bytes.Repeat([]byte("sluice "), size/7+1)[:size]
			errs := make(chan error, 1)
			go func() { errs <- c.Write(ctx, websocket.MessageBinary, want) }()
			kind, got, err := c.Read(ctx)
			if err != nil {
				return "", fmt.Errorf("%d bytes: %w", size, err)
			}
			if err := <-errs; err != nil {
				return "", err
			}
			seen = append(seen, fmt.Sprintf("%v %d %t", kind, len(got), bytes.Equal(got, want)))
		}
		return strings.Join(seen, "\n"), c.Close(websocket.StatusNormalClosure, "")
	}
}

func firstMessage(ctx context.Context, w wsTransport, path string) (string, error) {
	c, _, err := w.dial(ctx, path, false)
	if err != nil {
		return "", err
	}
	defer c.CloseNow()
	kind, got, err := c.Read(ctx)
	return fmt.Sprintf("%v %s", kind, got), err
}

// bytesBack sends what is no WebSocket at all through one, which no proxy may notice.
func bytesBack(ctx context.Context, w wsTransport, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		return "", err
	}
	r.Host = "ws.example.com"
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	resp, err := w.round.RoundTrip(r)
	if err != nil {
		return "", err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return fmt.Sprint(resp.StatusCode), nil
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	want := make([]byte, 300_000)
	for i := range want {
		want[i] = byte(i * i >> 3)
	}
	sent, errs := want, make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		errs <- err
	}()
	if path == "/behind" {
		want = append([]byte("right behind;"), want...)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil {
		return fmt.Sprintf("%d bytes", n), err
	}
	return fmt.Sprint(bytes.Equal(got, want)), <-errs
}

// until waits for what others do.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("not within %v: %s", patience, what)
}
