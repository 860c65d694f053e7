package listener

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// slow is a listener that has a last connection when it is closed, and is slow to say so.
type slow struct {
	conn   net.Conn
	closed chan struct{}
	given  bool
}

func (l *slow) Accept() (net.Conn, error) {
	<-l.closed
	if l.given {
		return nil, net.ErrClosed
	}
	l.given = true
	time.Sleep(time.Second)
	return l.conn, nil
}

func (l *slow) Close() error   { close(l.closed); return nil }
func (l *slow) Addr() net.Addr { return l.conn.LocalAddr() }

// idle is a session that serves until it is told to end.
type idle struct {
	conn net.Conn
	end  chan struct{}
}

func (s *idle) Serve()      { <-s.end; s.conn.Close() }
func (s *idle) Check(int64) {}
func (s *idle) Kill()       { s.CloseIdle() }
func (s *idle) CloseIdle() {
	select {
	case <-s.end:
	default:
		close(s.end)
	}
}

// TestDrainsLast: a connection that was accepted just as the drain began is one of those that
// it lets finish.
func TestDrainsLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		served := 0
		s := NewServer(Options{HTTP: func(conn net.Conn, _ []byte, _ *proxy.Connection) proxy.Session {
			served++
			return &idle{conn, make(chan struct{})}
		}})
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(&slow{conn: theirs, closed: make(chan struct{})}) }()
		synctest.Wait()
		if err := s.Drain(t.Context()); err != nil || served != 1 || s.Connections() != 0 {
			t.Errorf("Drain: %v; %d connections were served, %d are open", err, served, s.Connections())
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(2 * watchEvery) // for the watch to end
	})
}

// TestKilledAtOnce: a connection that is killed before it has a deadline ends all the same.
func TestKilledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		var s *Server
		s = NewServer(Options{
			HasChains: func() bool { return true },
			Chain: func(string, bool, []string) *router.CompiledChain {
				s.each(nil, (*connection).kill)
				return nil
			},
			OpenTimeout: time.Hour,
		})
		began := time.Now()
		s.accept(theirs)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if err := s.Drain(ctx); err != nil || time.Since(began) > time.Minute {
			t.Errorf("Drain: %v; it took %v", err, time.Since(began))
		}
		time.Sleep(2 * watchEvery)
	})
}

// eager is a connection that is killed just before it gets a deadline.
type eager struct {
	net.Conn
	kill func()
	once sync.Once
}

func (c *eager) SetReadDeadline(at time.Time) error {
	c.once.Do(c.kill)
	return c.Conn.SetReadDeadline(at)
}

func (c *eager) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestKilledBeforeItsProxyHeader: the time that the PROXY protocol's header may take does not undo
// a kill.
func TestKilledBeforeItsProxyHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		s := NewServer(Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		began := time.Now()
		s.accept(&eager{Conn: theirs, kill: func() { s.each(nil, (*connection).kill) }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Drain(ctx); err != nil || time.Since(began) > time.Second {
			t.Errorf("Drain: %v; it took %v", err, time.Since(began))
		}
		time.Sleep(2 * watchEvery)
	})
}
