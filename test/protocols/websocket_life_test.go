package protocols

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// to returns a way in that leads to another endpoint.
func (w wsTransport) to(endpoint string) wsTransport {
	if endpoint != "h1" {
		w.name, w.url = w.name+" to "+endpoint, w.url+"/"+endpoint
	}
	return w
}

// TestWebSocketReloads: a hundred changes of the VirtualService lose no message of a WebSocket
// that is in use, whatever it runs over.
func TestWebSocketReloads(t *testing.T) {
	t.Parallel()
	g := startWS(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	var stop atomic.Bool
	var total atomic.Int64
	var busy sync.WaitGroup
	for _, way := range g.ways(t) {
		for _, endpoint := range []string{"h1", "tls", "h2"} {
			c, _, err := way.to(endpoint).dial(ctx, "/echo", false)
			if err != nil {
				t.Fatalf("%s to %s: %v", way.name, endpoint, err)
			}
			t.Cleanup(func() { c.CloseNow() })
			busy.Go(func() {
				n, err := exchange(ctx, c, &stop)
				total.Add(int64(n))
				if err != nil {
					t.Errorf("%s to %s: %v", way.name, endpoint, err)
				}
			})
		}
	}
	const changes = 100
	for i := 1; i <= changes && !t.Failed(); i++ {
		g.revise(t, i)
	}
	stop.Store(true)
	busy.Wait()
	t.Logf("%d messages came back during %d changes, none was lost", total.Load(), changes)
}

// exchange sends numbered messages, a few ahead of those that come back, until stop, and
// returns how many came back in order.
func exchange(ctx context.Context, c *websocket.Conn, stop *atomic.Bool) (int, error) {
	ahead, sent := make(chan struct{}, 16), make(chan int, 1)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			ahead <- struct{}{}
			if c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", n%3000))) != nil {
				break
			}
		}
		c.Write(ctx, websocket.MessageText, []byte("end"))
		sent <- n
	}()
	for n := 0; ; n++ {
		_, got, err := c.Read(ctx)
		if err != nil {
			return n, fmt.Errorf("after %d messages: %w", n, err)
		}
		if string(got) == "end" {
			if all := <-sent; all != n {
				return n, fmt.Errorf("%d came of %d", n, all)
			}
			return n, nil
		}
		if want := fmt.Sprintf("%d %s", n, strings.Repeat("x", n%3000)); string(got) != want {
			return n, fmt.Errorf("got %.20q, want %.20q", got, want)
		}
		select {
		case <-ahead:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// revise changes the VirtualService and waits until that is in force.
func (g *wsGateway) revise(t testing.TB, n int) {
	t.Helper()
	g.write(t, "config.yaml", strings.Replace(g.manifests, "%REVISION%", fmt.Sprint(n), 1))
	until(t, fmt.Sprintf("change %d is in force", n), func() bool {
		resp, err := http.Get("http://" + g.at(80) + "/revision")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body) == fmt.Sprint(n)
	})
}

// TestWebSocketDrain: hardening row 45. WebSockets go on while the gateway drains, and end
// with the drain, for both sides.
func TestWebSocketDrain(t *testing.T) {
	t.Parallel()
	const drain = 8 * time.Second // enough for an exchange with each, on a slow machine
	g := startWS(t, "--drain", drain.String())
	var open []*websocket.Conn
	var names []string
	for _, way := range g.ways(t) {
		for _, endpoint := range []string{"h1", "tls", "h2"} {
			open, names = append(open, way.to(endpoint).mustDial(t, "/ends")), append(names, way.name+" to "+endpoint)
		}
	}
	ctx := within(t)
	began := time.Now()
	g.cmd.Process.Signal(syscall.SIGTERM)
	until(t, "the drain begins", func() bool {
		conn, err := net.Dial("tcp", g.at(80))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	for i, c := range open {
		if err := echoOnce(ctx, c, "while draining"); err != nil {
			t.Errorf("%s while draining: %v", names[i], err)
		}
	}
	for i, c := range open {
		if _, got, err := c.Read(ctx); err == nil {
			t.Errorf("%s: %q came", names[i], got)
		}
	}
	if took := time.Since(began); took < drain-200*time.Millisecond || took > drain+15*time.Second {
		t.Errorf("WebSockets ended after %v of a drain of %v", took, drain)
	}
	for range open {
		select {
		case <-g.server.ends:
		case <-ctx.Done():
			t.Fatal("a server did not see its WebSocket end")
		}
	}
}

func echoOnce(ctx context.Context, c *websocket.Conn, text string) error {
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && string(got) != text {
		err = fmt.Errorf("%q came", got)
	}
	return err
}

// TestWebSocketDeadSides: when a side dies, the other sees it.
func TestWebSocketDeadSides(t *testing.T) {
	t.Parallel()
	g := startWS(t)
	for _, way := range g.ways(t) {
		for _, endpoint := range []string{"h1", "tls", "h2"} {
			t.Run(way.name+" to "+endpoint, func(t *testing.T) {
				ctx, way := within(t), way.to(endpoint)
				c := way.mustDial(t, "/ends")
				if err := echoOnce(ctx, c, "hello"); err != nil {
					t.Fatal(err)
				}
				c.CloseNow()
				select {
				case <-g.server.ends:
				case <-ctx.Done():
					t.Fatal("the server does not see that the client has gone")
				}
				c = way.mustDial(t, "/ends")
				if err := echoOnce(ctx, c, "hello"); err != nil {
					t.Fatal(err)
				}
				g.server.die()
				if _, got, err := c.Read(ctx); err == nil || ctx.Err() != nil {
					t.Errorf("%q %v", got, err)
				}
				<-g.server.ends
			})
		}
	}
	t.Run("the connection of streams dies", func(t *testing.T) {
		ctx := within(t)
		p := h2Client(t, dialH2(t, g.at(80), nil))
		way := wsTransport{name: "HTTP/2", url: "http://" + g.at(80), round: extendedConnect{p}}
		for _, endpoint := range []string{"h1", "h2"} {
			way.to(endpoint).mustDial(t, "/ends")
		}
		p.Conn.(*net.TCPConn).SetLinger(0)
		p.Conn.Close()
		for range 2 {
			select {
			case <-g.server.ends:
			case <-ctx.Done():
				t.Fatal("a server does not see that the client has gone")
			}
		}
	})
}

// TestWebSocketIdle: hardening row 45. A WebSocket that nothing moves through, such as that of
// a client which has vanished without a word, ends for the server too; one in use does not.
func TestWebSocketIdle(t *testing.T) {
	t.Parallel()
	const idle = 6 * time.Second // long beside what holds up one in use, on a slow machine
	g := startWS(t, "--tunnel-idle-timeout", idle.String())
	// All at once, since most of the time is waiting.
	var all sync.WaitGroup
	for _, way := range g.ways(t) {
		for _, endpoint := range []string{"h1", "tls", "h2"} {
			run := func(t *testing.T) {
				ctx := within(t)
				began := time.Now()
				silent, used := way.to(endpoint).mustDial(t, "/echo"), way.to(endpoint).mustDial(t, "/echo")
				ended := make(chan struct{})
				go func() {
					silent.Read(ctx)
					close(ended)
				}()
				for still := true; still && ctx.Err() == nil; {
					if err := echoOnce(ctx, used, "still here"); err != nil {
						t.Fatalf("a WebSocket in use: %v after %v", err, time.Since(began))
					}
					select {
					case <-ended:
						still = false
					case <-time.After(100 * time.Millisecond):
					}
				}
				if took := time.Since(began); took < idle-200*time.Millisecond || took > idle+20*time.Second {
					t.Errorf("a silent WebSocket ended after %v, the bound is %v", took, idle)
				}
				if err := echoOnce(ctx, used, "still here"); err != nil {
					t.Error(err)
				}
			}
			all.Go(func() { t.Run(way.name+" to "+endpoint, run) })
		}
	}
	all.Wait()
	until(t, "the servers' WebSockets have ended", func() bool { return g.server.connections() == 0 })
	until(t, "12 timeouts of tunnels are counted", func() bool { return g.events(t, "tunnel_timeout") >= 12 })
}

// TestWebSocketLimits: hardening row 64. WebSockets count to the listener's connections for as
// long as they live.
func TestWebSocketLimits(t *testing.T) {
	t.Parallel()
	g := startWS(t, "--max-connections", "3")
	way := overHTTP1("HTTP/1.1", g.at(80), nil)
	var open []*websocket.Conn
	for range 3 {
		open = append(open, way.mustDial(t, "/echo"))
	}
	if c, resp, err := way.dial(within(t), "/echo", false); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		if err == nil {
			c.CloseNow()
		}
		t.Errorf("the fourth: %v, %v", resp, err)
	}
	for _, c := range open {
		if err := echoOnce(within(t), c, "still here"); err != nil {
			t.Error(err)
		}
	}
	open[0].CloseNow()
	until(t, "there is room for another", func() bool {
		c, _, err := way.dial(within(t), "/echo", false)
		if err == nil {
			c.CloseNow()
		}
		return err == nil
	})
}

// TestWebSocketAccessLog: a WebSocket has its line when it has ended, with the bytes of both
// directions.
func TestWebSocketAccessLog(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "access.log")
	g := startWS(t, "--access-log", file)
	lines := func() []string {
		data, _ := os.ReadFile(file)
		var found []string
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, "/bytes") && strings.HasSuffix(line, "\n") {
				found = append(found, line)
			}
		}
		return found
	}
	n := 0
	for _, way := range g.ways(t) {
		for _, endpoint := range []string{"h1", "h2"} {
			seen, err := bytesBack(within(t), way.to(endpoint), "/bytes")
			if err != nil || seen != "true" {
				t.Fatalf("%s to %s: %s, %v", way.name, endpoint, seen, err)
			}
			n++
			until(t, "the WebSocket has a line", func() bool { return len(lines()) == n })
			line := lines()[n-1]
			answer := `HTTP/1.1" 101 `
			if strings.HasPrefix(way.name, "HTTP/2") {
				answer = `HTTP/2" 200 `
			}
			if !strings.Contains(line, answer) || !strings.Contains(line, " 300000 300000 ") {
				t.Errorf("%s to %s: %s", way.name, endpoint, line)
			}
		}
	}
}

// TestWebSocketsIdle: what a thousand WebSockets cost in which nothing moves.
func TestWebSocketsIdle(t *testing.T) {
	const many = 1000
	for _, tc := range []struct {
		name, endpoint string
		port           int
		// most is the bound of memory for each, in KB.
		most int
	}{
		{"HTTP/1.1 to HTTP/1.1", "h1", 80, 40},
		{"HTTP/1.1 TLS to HTTP/1.1", "h1", 443, 100},
		{"HTTP/2 to HTTP/1.1", "h1", 0, 60},
		{"HTTP/1.1 to HTTP/2", "h2", 80, 60},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := startWS(t)
			way := overHTTP1("HTTP/1.1", g.at(80), nil)
			way.mustDial(t, "/echo")
			before := g.resident(t)
			var conns []*websocket.Conn
			for i := range many {
				switch {
				case tc.port == 443 && i == 0:
					way = overHTTP1("TLS", g.at(443), g.roots("ws.example.com"))
				case tc.port == 0 && i%100 == 0:
					way = overHTTP2(t, "HTTP/2", g.at(80), nil)
				}
				conns = append(conns, way.to(tc.endpoint).mustDial(t, "/echo"))
			}
			for _, c := range conns {
				if err := echoOnce(within(t), c, "hello"); err != nil {
					t.Fatal(err)
				}
			}
			each := (g.resident(t) - before) / many
			t.Logf("%d KB for each of %d idle WebSockets (%d KB before)", each, many, before)
			if each > tc.most {
				t.Errorf("%d KB each, want at most %d", each, tc.most)
			}
			for _, c := range conns {
				if err := echoOnce(within(t), c, "still here"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// events returns how often something happened to connections of clients.
func (g *gateway) events(t testing.TB, event string) (n int) {
	t.Helper()
	resp, err := http.Get("http://" + g.admin + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "sluice_downstream_connection_events_total{") && strings.Contains(line, `event="`+event+`"`) {
			var some int
			fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &some)
			n += some
		}
	}
	return n
}

// resident returns the gateway's resident memory, in KB.
func (g *gateway) resident(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("VmRSS:"))
	n := 0
	if _, err := fmt.Sscan(string(rest), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
