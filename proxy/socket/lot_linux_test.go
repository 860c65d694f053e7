package socket

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

type sleeper struct {
	woken chan struct{}
	times atomic.Int32
}

func newSleeper() *sleeper { return &sleeper{woken: make(chan struct{}, 100)} }

func (s *sleeper) Wake() {
	s.times.Add(1)
	s.woken <- struct{}{}
}

func (s *sleeper) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.woken:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody woke it")
	}
}

// parked parks the server's end of a new connection.
func parked(t *testing.T, l *Lot) (client net.Conn, s *Socket, w *sleeper) {
	t.Helper()
	client, server := pair(t)
	sock := New(server, func() bool { return true })
	w = newSleeper()
	if !l.Park(&sock, w) {
		t.Fatal("not parked")
	}
	return client, &sock, w
}

// TestLotWakes: bytes and both kinds of an end wake, also those that came before.
func TestLotWakes(t *testing.T) {
	t.Parallel()
	for name, news := range map[string]func(net.Conn){
		"bytes":      func(c net.Conn) { c.Write([]byte("x")) },
		"half-close": func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"close":      func(c net.Conn) { c.Close() },
		"reset": func(c net.Conn) {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l Lot
			defer l.Close()
			client, s, w := parked(t, &l)
			if l.Parked() != 1 || len(w.woken) > 0 {
				t.Fatalf("%d parked, woken %d times", l.Parked(), len(w.woken))
			}
			news(client)
			w.wait(t)
			if l.Parked() != 0 {
				t.Errorf("%d parked after the wake", l.Parked())
			}
			// It was not read: whoever parks it again is told at once.
			if !l.Park(s, w) {
				t.Fatal("not parked again")
			}
			w.wait(t)
		})
	}
}

// TestLotLeave: one that has left is woken no more, whoever has the descriptor after it.
func TestLotLeave(t *testing.T) {
	t.Parallel()
	var l Lot
	defer l.Close()
	client, s, w := parked(t, &l)
	l.Leave(s, newSleeper())
	if l.Parked() != 1 {
		t.Error("somebody else took it out")
	}
	l.Leave(s, w)
	l.Leave(s, w)
	next := newSleeper()
	if l.Parked() != 0 || !l.Park(s, next) {
		t.Fatalf("%d parked", l.Parked())
	}
	l.Leave(s, w)
	client.Write([]byte("x"))
	next.wait(t)
	if w.times.Load() != 0 || l.Parked() != 0 {
		t.Errorf("who left was woken %d times; %d parked", w.times.Load(), l.Parked())
	}
}

// TestLotCrowd: all wake of many that have news at once, though few are taken at a time; and a
// lot that was closed opens again.
func TestLotCrowd(t *testing.T) {
	t.Parallel()
	var l Lot
	for range 3 {
		var clients []net.Conn
		var sleepers []*sleeper
		for range 150 {
			c, _, w := parked(t, &l)
			clients, sleepers = append(clients, c), append(sleepers, w)
		}
		l.Close()
		if l.Parked() != len(clients) {
			t.Fatalf("a lot in use was closed: %d parked", l.Parked())
		}
		for _, c := range clients {
			c.Write([]byte("x"))
		}
		for _, w := range sleepers {
			w.wait(t)
		}
		l.Close()
	}
}

// TestLotRefuses: what has no descriptor, or bytes that were read already, cannot be parked.
func TestLotRefuses(t *testing.T) {
	t.Parallel()
	var l Lot
	defer l.Close()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := New(a, func() bool { return true })
	if l.Park(&s, newSleeper()) {
		t.Error("a pipe was parked")
	}
	_, server := pair(t)
	inside := New(Server(server, []byte("early"), nil), func() bool { return true })
	if l.Park(&inside, newSleeper()) {
		t.Error("bytes that were read already were parked with their connection")
	}
}
