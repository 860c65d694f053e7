package http1

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// inTLS returns what serves TLS over a connection, and what makes a client of one.
func inTLS(t *testing.T) (serve func(net.Conn) net.Conn, client func(net.Conn) *tls.Conn) {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	t.Cleanup(certified.Close)
	server := &tls.Config{Certificates: certified.TLS.Certificates}
	config := certified.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	serve = func(conn net.Conn) net.Conn {
		c := socket.Server(conn, nil, server)
		if err := c.Handshake(); err != nil {
			t.Error(err)
		}
		c.Decide()
		return c
	}
	return serve, func(conn net.Conn) *tls.Conn { return tls.Client(conn, config) }
}

// TestWatchedInTLS: the watcher looks at a connection inside TLS while its goroutine reads
// records.
func TestWatchedInTLS(t *testing.T) {
	t.Parallel()
	serve, client := inTLS(t)
	sessions := make(chan proxy.Session, 1)
	ours, theirs := connected(t)
	var all sync.WaitGroup
	all.Go(func() {
		session := NewSession(serve(theirs), nil, &proxy.Connection{}, Options{Engine: answering}.WithDefaults())
		sessions <- session
		session.Serve()
	})
	c := newClient(client(ours))
	if err := c.ask(1, 0); err != nil {
		t.Fatal(err)
	}
	session := <-sessions
	ended := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
				session.Check(proxy.Now() + int64(2*watchEvery))
				time.Sleep(time.Microsecond)
			}
		}
	})
	for range 100 {
		if err := c.ask(3, 50); err != nil {
			t.Fatal(err)
		}
	}
	close(ended)
	c.Close()
	all.Wait()
}

// connected returns the two ends of a connection over loopback.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours = call(t, l.Addr().String(), "")
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// successor is a session that ends when it is killed.
type successor chan struct{}

func (s successor) Serve()      { <-s }
func (s successor) Check(int64) {}
func (s successor) CloseIdle()  {}
func (s successor) Kill()       { close(s) }

// TestKilledSuccessor: a connection that is killed while it becomes one of HTTP/2 ends.
func TestKilledSuccessor(t *testing.T) {
	t.Parallel()
	ours, theirs := connected(t)
	var session proxy.Session
	session = NewSession(theirs, []byte(preface), &proxy.Connection{}, Options{
		Engine: answering,
		HTTP2: func(net.Conn, []byte, *proxy.Connection) proxy.Session {
			session.Kill()
			return make(successor)
		},
	}.WithDefaults())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		session.Serve()
	}()
	ours.Write([]byte{0})
	await(t, "the session", ended)
}

// TestRewindableMeanwhile: whether a body can be read again is asked while it is read.
func TestRewindableMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length, sent int
		want         bool
	}{"kept": {largeBuffer, largeBuffer, true}, "too large": {largeBuffer + 1, largeBuffer + 1, false}, "cut": {largeBuffer, 2, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rewindable := make(chan bool, 1)
			_, address := serveLoopback(t, Options{Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				down.KeepBody()
				read := make(chan struct{})
				go func() {
					defer close(read)
					for buf := make([]byte, 100); ; {
						if _, err := down.ReadBody(buf); err != nil {
							return
						}
					}
				}()
				for reading := true; reading; {
					select {
					case <-read:
						reading = false
					default:
						down.Rewindable()
					}
				}
				rewindable <- down.Rewindable()
				down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
			})})
			conn := call(t, address, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", c.length))
			conn.Write(make([]byte, c.sent))
			conn.(*net.TCPConn).CloseWrite()
			if got := <-rewindable; got != c.want {
				t.Errorf("it can be read again: %t, want %t", got, c.want)
			}
		})
	}
}

// TestAnsweredBeforeItsBody: an answer may come before anybody has begun to read the body, who
// then does.
func TestAnsweredBeforeItsBody(t *testing.T) {
	t.Parallel()
	_, address := serveLoopback(t, Options{Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		read := make(chan struct{})
		go func() {
			defer close(read)
			time.Sleep(10 * time.Millisecond)
			for buf := make([]byte, 100); ; {
				if _, err := down.ReadBody(buf); err != nil {
					return
				}
			}
		}()
		down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
		<-read
	})})
	conn := call(t, address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n")
	conn.Write(make([]byte, 50000))
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != 200 {
		t.Errorf("%v, %v", answer, err)
	}
}
