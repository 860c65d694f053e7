package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// connect returns a connection to a server, which ends with the test, inside of its bubble.
func connect(t *testing.T, server *http.Server) net.Conn {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	client, peer := net.Pipe()
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-ended
		synctest.Wait()
	})
	l.conns <- peer
	return client
}

// TestTapAfterQuiet: a tap that was quiet for longer than a client may be slow is not too slow,
// however much comes at once then.
func TestTapAfterQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := everything(t)
		t.Cleanup(o.Recent.Close)
		o.Recent.Publish(o.Table())
		client := connect(t, &http.Server{Handler: NewHandler(o)})
		go fmt.Fprint(client, "GET /tap HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(response.Body)
		for range 3 {
			time.Sleep(slowTap + time.Second)
			for i := range 100 {
				finish(o, fmt.Sprintf("/nothing/%d", i), 404, proxy.FlagNoRoute)
			}
			for i := range 100 {
				if !lines.Scan() {
					t.Fatalf("the tap ends after %d lines: %v", i, lines.Err())
				}
			}
		}
	})
}

// TestHeadOfStreams: HEAD asks for no stream, and is answered without one.
func TestHeadOfStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := everything(t)
		t.Cleanup(o.Recent.Close)
		client := connect(t, &http.Server{Handler: NewHandler(o)})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(client.SetDeadline(time.Now().Add(time.Minute)))
		from := bufio.NewReader(client)
		for range maxTaps + 1 {
			// What comes next on the connection is the next answer.
			_, err := fmt.Fprint(client, "HEAD /tap HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
			must(err)
			response, err := http.ReadResponse(from, &http.Request{Method: http.MethodHead})
			must(err)
			if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/x-ndjson" {
				t.Fatalf("got %s, %v", response.Status, response.Header)
			}
		}
	})
}
