package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// More than the kernel holds arrives whole, once the peer reads.
func TestWriterWaitsForASlowPeer(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	done := make(chan error, 1)
	go func() {
		n, err := NewWriter(a).Write(sent)
		if n != len(sent) {
			t.Errorf("%d of %d bytes", n, len(sent))
		}
		a.Close()
		done <- err
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A close, or a deadline, ends a write that waits, and is told of.
func TestWriterIsInterrupted(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(net.Conn){
		"close":    func(c net.Conn) { c.Close() },
		"deadline": func(c net.Conn) { c.SetDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := pair(t)
			done := make(chan error, 1)
			w := NewWriter(a)
			go func() {
				_, err := w.Write(make([]byte, 64<<20))
				done <- err
			}()
			time.AfterFunc(20*time.Millisecond, func() { end(a) })
			if err := <-done; err == nil {
				t.Error("a write to nobody succeeded")
			}
			if _, err := w.Write([]byte("x")); err == nil {
				t.Error("a write after the end succeeded")
			}
		})
	}
}

func TestWriterAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	w, buf := NewWriter(a), make([]byte, 100)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := w.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is there is read at once, the end is io.EOF, and a close or a deadline ends a read that
// waits.
func TestReader(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	r, buf := NewReader(a), make([]byte, 10)
	b.Write([]byte("hello"))
	if n, err := r.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	time.AfterFunc(20*time.Millisecond, func() { a.SetReadDeadline(time.Now()) })
	if n, err := r.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	a.SetReadDeadline(time.Time{})
	b.Close()
	if n, err := r.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	a2, _ := pair(t)
	time.AfterFunc(20*time.Millisecond, func() { a2.Close() })
	if n, err := NewReader(a2).Read(buf); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after a close: %d, %v", n, err)
	}
}
