package forward_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sluicegate/sluice/proxy"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// A WebSocket of real libraries at both ends: messages of all sizes, and the closing.
func TestWebSocketEcho(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		c.SetReadLimit(8 << 20)
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}))
	defer server.Close()
	spec := toOrigin(server.Listener.Addr().String())
	// The route's timeout is for the answer, not for the WebSocket.
	const timeout = 2 * time.Second
	thePolicy(spec).Timeout = timeout
	g := start(t, spec)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, tries := dialWebSocket(t, ctx, g)
	defer c.CloseNow()
	c.SetReadLimit(8 << 20)
	for _, size := range []int{0, 1, 1000, 100 << 10, 4 << 20} {
		want := bytes.Repeat([]byte{'w'}, size)
		errs := make(chan error, 1)
		go func() { errs <- c.Write(ctx, websocket.MessageBinary, want) }()
		_, got, err := c.Read(ctx)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d: %v", len(got), size, err)
		}
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(timeout + 200*time.Millisecond)
	if err := c.Write(ctx, websocket.MessageText, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != "still here" {
		t.Fatalf("%q %v", got, err)
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	rec := g.completed(tries)
	if rec.status != 101 || rec.flags != "-" {
		t.Errorf("record %+v", rec)
	}
}

// dialWebSocket tries until an answer comes within the route's timeout, which it does but on a
// machine that stands still. It returns the number of tries, too.
func dialWebSocket(t *testing.T, ctx context.Context, g *gateway) (c *websocket.Conn, tries int) {
	t.Helper()
	for {
		tries++
		c, resp, err := websocket.Dial(ctx, "ws://"+g.addr+"/ws", nil)
		if err == nil {
			return c, tries
		}
		if resp == nil || resp.StatusCode != 504 || tries == 5 {
			t.Fatal(err)
		}
	}
}

// What the server says right behind its 101 reaches the client.
func TestWebSocketServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		c.head()
		c.send(switching + "server first")
		io.Copy(c, c.br)
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send(webSocket())
	head, err := readHead(c.br)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "connection: upgrade\r\nupgrade: websocket\r\n") || !strings.Contains(head, "sec-websocket-accept: s3p") {
		t.Fatalf("%q %v", head, err)
	}
	c.send(" and back")
	c.CloseWrite()
	if all, err := io.ReadAll(c.br); string(all) != "server first and back" {
		t.Errorf("%q %v", all, err)
	}
}

// What a client sends before it is allowed to is held until the 101.
func TestWebSocketEarlyDataIsHeld(t *testing.T) {
	t.Parallel()
	asked, allow := make(chan string, 1), make(chan bool)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		asked <- head
		<-allow
		if c.br.Buffered() > 0 {
			t.Errorf("early data came with the head")
		}
		c.Conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if b, err := c.br.Peek(1); err == nil {
			t.Errorf("early data came before the 101: %q", b)
		}
		c.Conn.SetReadDeadline(time.Time{})
		c.send(switching)
		io.Copy(c, c.br)
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send(webSocket() + next)
	head := <-asked
	for _, want := range []string{"connection: upgrade\r\nupgrade: websocket\r\n", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("upstream got %q, without %q", head, want)
		}
	}
	close(allow)
	readHead(c.br)
	c.CloseWrite()
	if all, err := io.ReadAll(c.br); string(all) != next {
		t.Errorf("%q %v", all, err)
	}
}

// A refused upgrade is an ordinary answer, after which both connections end (hardening row
// 43): what follows was meant for another protocol.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{
		"200": okResponse,
		"403": "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
		"404": "",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				c.head()
				c.send(response)
				rest, _ := io.ReadAll(c.br)
				ended <- string(rest)
			})
			spec := toOrigin(o.addr)
			if response == "" {
				spec = withRoutes(nil)
				ended <- ""
			}
			c := dial(t, start(t, spec))
			c.send(webSocket() + next)
			a := c.read("GET")
			if fmt.Sprint(a.StatusCode) != name || !a.Close {
				t.Errorf("answer %d close=%v", a.StatusCode, a.Close)
			}
			c.expectEnd()
			if rest := <-ended; rest != "" {
				t.Errorf("the upstream got %q", rest)
			}
		})
	}
}

// Hardening row 41: h2c is not offered to an upstream, alone or in a list.
func TestUpgradeToH2CIsDropped(t *testing.T) {
	t.Parallel()
	for _, protocols := range []string{"h2c", "H2C", "h2c, websocket", "websocket, h2c"} {
		t.Run(protocols, func(t *testing.T) {
			got := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				head, _ := c.head()
				got <- head
				c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\n")
			})
			c := dial(t, start(t, toOrigin(o.addr)))
			a := c.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+protocols, "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
			head := <-got
			for _, name := range []string{"upgrade", "http2-settings", "connection"} {
				if strings.Contains(head, name+":") {
					t.Errorf("%s was forwarded: %q", name, head)
				}
			}
			if a.StatusCode != 502 {
				t.Errorf("answer %d to a 101 that nobody asked for", a.StatusCode)
			}
		})
	}
}

// A 101 to another protocol than was asked for is not passed on.
func TestUpgradeToAnotherProtocol(t *testing.T) {
	t.Parallel()
	for _, response := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		o := startOrigin(t, func(c *originConn) { c.head(); c.send(response) })
		c := dial(t, start(t, toOrigin(o.addr)))
		c.send(webSocket() + next)
		if a := c.read("GET"); a.StatusCode != 502 || !a.Close {
			t.Errorf("answer %d", a.StatusCode)
		}
		c.expectEnd()
	}
}

// Each side of a tunnel may end its direction first, and a dead side ends both.
func TestTunnelEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		serve  func(*originConn)
		client func(*client)
		want   string
	}{
		"client closes its side": {
			serve: func(c *originConn) {
				all, _ := io.ReadAll(c.br)
				c.send("got " + string(all))
			},
			client: func(c *client) { c.send("question"); c.CloseWrite() },
			want:   "got question",
		},
		"server closes its side": {
			serve: func(c *originConn) {
				c.send("statement")
				c.Conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c.br)
			},
			client: func(c *client) {},
			want:   "statement",
		},
		"server closes": {
			serve:  func(c *originConn) { c.send("last words") },
			client: func(c *client) {},
			want:   "last words",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, func(c *originConn) {
				c.head()
				c.send(switching)
				test.serve(c)
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			c.send(webSocket())
			readHead(c.br)
			test.client(c)
			if all, err := io.ReadAll(c.br); string(all) != test.want {
				t.Errorf("%q %v", all, err)
			}
			c.Close()
			g.completed(1)
			eventually(t, patience, "the connection ends", func() bool { return g.server.Connections() == 0 })
		})
	}
	t.Run("client resets", func(t *testing.T) {
		t.Parallel()
		ended := make(chan bool)
		o := startOrigin(t, func(c *originConn) {
			c.head()
			c.send(switching)
			io.Copy(io.Discard, c.br)
			close(ended)
		})
		c := dial(t, start(t, toOrigin(o.addr)))
		c.send(webSocket())
		readHead(c.br)
		c.SetLinger(0)
		c.Close()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the upstream's connection stays open")
		}
	})
	t.Run("nothing moves", func(t *testing.T) {
		t.Parallel()
		o := startOrigin(t, func(c *originConn) {
			c.head()
			c.send(switching)
			io.Copy(c, c.br)
		})
		var timeouts atomic.Int64
		const idle, step = 4 * time.Second, 500 * time.Millisecond
		g := start(t, toOrigin(o.addr), func(s *setup) {
			s.engine.Timeouts.Tunnel = idle
			s.server.Observe = func(e proxy.ConnEvent) {
				if e == proxy.ConnTunnelTimeout {
					timeouts.Add(1)
				}
			}
		})
		c := dial(t, g)
		c.send(webSocket())
		readHead(c.br)
		for range idle/step + 1 { // What moves is kept.
			time.Sleep(step)
			c.send("x")
			if _, err := c.br.ReadByte(); err != nil {
				t.Fatal(err)
			}
		}
		c.expectEnd()
		eventually(t, patience, "the timeout is counted", func() bool { return timeouts.Load() == 1 })
	})
}
