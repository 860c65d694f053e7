package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestConnIsLikeTCPConn: addresses, ends, options and errors are those that package net has.
func TestConnIsLikeTCPConn(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			a, b := connected(t, address)
			if a.LocalAddr().String() != b.RemoteAddr().String() || a.RemoteAddr().String() != b.LocalAddr().String() {
				t.Errorf("client %v to %v, server %v from %v", a.LocalAddr(), a.RemoteAddr(), b.LocalAddr(), b.RemoteAddr())
			}
			if _, err := a.Write([]byte("ping")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 10)
			if n, err := b.Read(buf); err != nil || string(buf[:n]) != "ping" {
				t.Errorf("%q, %v", buf[:n], err)
			}
			if _, err := b.Write([]byte("pong")); err != nil {
				t.Fatal(err)
			}
			if err := b.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(a); err != nil || string(got) != "pong" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := a.Write([]byte("late")); err != nil {
				t.Error(err)
			}
			if n, err := b.Read(buf); err != nil || string(buf[:n]) != "late" {
				t.Errorf("after CloseWrite: %q, %v", buf[:n], err)
			}
		})
	}
}

func TestConnErrors(t *testing.T) {
	t.Parallel()
	a, b := connected(t, "127.0.0.1:0")
	b.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := b.Read(make([]byte, 1))
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("past the deadline: %v", err)
	}
	if err := b.raw.Read(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline, raw: %v", err)
	}
	b.SetDeadline(time.Time{})
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	if _, err := b.Write(make([]byte, 1)); !errors.Is(err, syscall.EPIPE) || !strings.Contains(err.Error(), b.RemoteAddr().String()) {
		t.Errorf("after a reset: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	_, readErr := b.Read(make([]byte, 1))
	for name, err := range map[string]error{
		"read": readErr, "close": b.Close(), "shutdown": b.CloseWrite(), "deadline": b.SetDeadline(time.Time{}),
		"raw": b.raw.Read(func(uintptr) bool { return true }), "control": b.raw.Control(func(uintptr) {}),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// TestConnCloseEndsRead: another goroutine's Close ends a read that waits.
func TestConnCloseEndsRead(t *testing.T) {
	t.Parallel()
	_, b := connected(t, "127.0.0.1:0")
	time.AfterFunc(20*time.Millisecond, func() { b.Close() })
	if err := b.raw.Read(func(uintptr) bool { return false }); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestConnCloseEndsSocket: what was read to its end is gone with Close, before the descriptor is,
// and nothing can come or go by that any more; where the peer has sent what nobody has read, the
// socket stays a moment, for the peer to get the last answer.
func TestConnCloseEndsSocket(t *testing.T) {
	t.Parallel()
	for name, unread := range map[string]string{"all was read": "", "something was not": "late"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := connected(t, "127.0.0.1:0")
			if _, err := a.Write([]byte(unread)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			// Held, the descriptor cannot be given back, to another connection perhaps.
			b.raw.inner.Control(func(fd uintptr) {
				for deadline := time.Now().Add(30 * time.Second); unread != "" && time.Now().Before(deadline); {
					if n, _, _ := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT); n > 0 {
						break
					}
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
				family, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
				if stays := family == unix.AF_INET; err != nil || stays != (unread != "") {
					t.Errorf("the socket stays: %t (%v)", stays, err)
				}
				if _, err := unix.Write(int(fd), []byte("more")); err != unix.EPIPE {
					t.Errorf("a write after the end: %v", err)
				}
			})
			got := make([]byte, 10)
			if n, err := io.ReadFull(a, got[:6]); err != nil || string(got[:n]) != "answer" {
				t.Errorf("%q, %v", got[:n], err)
			}
			if _, err := a.Read(got); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("behind the answer: %v", err)
			}
		})
	}
}

// TestConnLingers: with SetLinger(0), a close resets the connection.
func TestConnLingers(t *testing.T) {
	t.Parallel()
	a, b := connected(t, "127.0.0.1:0")
	if err := b.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// TestConnReadFrom: what comes from another connection, or from elsewhere, goes through.
func TestConnReadFrom(t *testing.T) {
	t.Parallel()
	client, b := connected(t, "127.0.0.1:0")
	source, upstream := connected(t, "127.0.0.1:0")
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		upstream.Write(sent)
		n, err := b.ReadFrom(io.LimitReader(source, int64(len(sent))))
		if n != int64(len(sent)) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		b.ReadFrom(strings.NewReader("the end"))
		b.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, append(sent, "the end"...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestListenerHandsOptionsDown: small messages are not held back.
func TestListenerHandsOptionsDown(t *testing.T) {
	t.Parallel()
	_, b := connected(t, "127.0.0.1:0")
	var value int
	var err error
	b.raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY) })
	if err != nil || value == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", value, err)
	}
}

// TestListenerEnds: a deadline ends Accept, what waits is there all the same, and nothing
// listens after Close.
func TestListenerEnds(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0").(*Listener)
	if c := l.AcceptNow(); c != nil {
		t.Errorf("%v waits", c.RemoteAddr())
	}
	time.AfterFunc(10*time.Millisecond, func() { l.SetDeadline(time.Unix(1, 0)) })
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b := l.AcceptNow()
	if b == nil || b.RemoteAddr().String() != a.LocalAddr().String() {
		t.Fatalf("%v waits", b)
	}
	b.Close()
	l.SetDeadline(time.Time{})
	closed := make(chan error, 1)
	time.AfterFunc(10*time.Millisecond, func() { closed <- l.Close() })
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := <-closed; err != nil { // Accept may return first
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("something listens after Close")
	}
	if err := l.Close(); err == nil {
		t.Error("it can be closed twice")
	}
}

// TestNewListenerLeavesOthers: what is not of TCP stays what it is.
func TestNewListenerLeavesOthers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got, err := NewListener(l); got != l || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// connected returns a client's connection and the one that was accepted for it.
func connected(t *testing.T, address string) (*net.TCPConn, *Conn) {
	t.Helper()
	l := listen(t, address)
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		if strings.Contains(address, "::") {
			t.Skipf("no IPv6 here: %v", err)
		}
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return a.(*net.TCPConn), b.(*Conn)
}

// TestConnGivesDescriptorsBack: the peer hears of a Close at once, and the descriptors of many
// connections come back.
func TestConnGivesDescriptorsBack(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	ended() // the one that all share
	before := descriptors(t)
	for range mostEnded + 5 {
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		a.SetDeadline(time.Now().Add(30 * time.Second))
		b.Close()
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer reads %v", err)
		}
		a.Close()
	}
	for deadline := time.Now().Add(30 * time.Second); descriptors(t) > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open, %d before", descriptors(t), before)
		}
	}
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
