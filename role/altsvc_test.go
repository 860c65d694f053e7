package role

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// lingering is a server of datagrams whose last client leaves when it is let go.
type lingering struct {
	letGo, drained chan struct{}
	once           sync.Once
}

func (l *lingering) Connections() int           { return 1 }
func (l *lingering) Serve(net.PacketConn) error { <-l.drained; return nil }

func (l *lingering) Drain(ctx context.Context) error {
	defer l.once.Do(func() { close(l.drained) })
	select {
	case <-l.letGo:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// withDatagrams returns listeners that serve datagrams too until letGo is closed, and what
// responses say at each socket: the port that is told of, by the listener's name.
func withDatagrams(t *testing.T) (s *listeners, said func(listener string) string, letGo chan struct{}) {
	t.Helper()
	letGo = make(chan struct{})
	s = start(t, &echo{})
	s.backoff = time.Hour
	s.newDatagramServer = func(Bind) DatagramServer { return &lingering{letGo: letGo, drained: make(chan struct{})} }
	s.headers = func(b Bind) []router.Header { return []router.Header{{Name: "alt-svc", Value: fmt.Sprint(b.AltSvc)}} }
	headers := make(map[string]func() []router.Header)
	serve := s.newServer
	s.newServer = func(b Bind, h func() []router.Header) *listener.Server {
		headers[b.Listener] = h
		return serve(b, h)
	}
	return s, func(name string) string { return headers[name]()[0].Value }, letGo
}

// TestAltSvcChanges: a socket stays as it is, and so do its connections, where only what clients
// are told of HTTP/3 changes.
func TestAltSvcChanges(t *testing.T) {
	t.Parallel()
	s, said, letGo := withDatagrams(t)
	defer close(letGo)
	tcp := Bind{Listener: "a", Address: freeAddress()}
	s.set(tcp)
	c := dial(t, s.at(t, "a"))
	c.get(t, "/", "a")
	for _, port := range []uint16{443, 8443, 0} {
		tcp.AltSvc = port
		udp := tcp
		udp.Datagrams = true
		if port == 0 {
			s.set(tcp)
		} else {
			s.set(tcp, udp)
		}
		c.get(t, "/", "a")
		if list := s.conditions(); len(list) > 0 || said("a") != fmt.Sprint(port) {
			t.Errorf("port %d: alt-svc %s, conditions %v", port, said("a"), list)
		}
	}
}

// TestAltSvcOfNothing: clients are told of HTTP/3 only where it is served.
func TestAltSvcOfNothing(t *testing.T) {
	t.Parallel()
	s, said, letGo := withDatagrams(t)
	defer close(letGo)
	s.backoff = 5 * time.Millisecond
	changed := make(chan struct{}, 1)
	s.changed = func() { changed <- struct{}{} }
	address := freeAddress()
	other, err := net.ListenPacket("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	tcp := Bind{Listener: "a", Address: address, AltSvc: 443}
	udp := tcp
	udp.Datagrams = true
	s.set(tcp, udp)
	if list := s.conditions(); len(list) != 1 || said("a") != "0" {
		t.Fatalf("alt-svc %s, conditions %v", said("a"), list)
	} else if want := "cannot listen on " + udp.Address + "/udp: "; list[0].Message[:len(want)] != want {
		t.Errorf("%s, want %s", list[0].Message, want)
	}
	other.Close()
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatal("it is not tried again")
	}
	if said("a") != "443" {
		t.Errorf("alt-svc %s, want 443", said("a"))
	}
}

// TestDatagramsComeBack: a UDP socket whose address has clients of its predecessor yet is bound
// when the last of them has left.
func TestDatagramsComeBack(t *testing.T) {
	t.Parallel()
	s, _, letGo := withDatagrams(t)
	changed := make(chan struct{}, 1)
	s.changed = func() { changed <- struct{}{} }
	udp := Bind{Listener: "a", Address: freeAddress(), Datagrams: true}
	s.set(udp)
	s.set()
	s.set(udp)
	if list := s.conditions(); len(list) != 1 || list[0].Reason != PortTaken {
		t.Fatalf("conditions: %v", list)
	}
	close(letGo)
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatal("it is not tried again")
	}
	if list := s.conditions(); len(list) > 0 {
		t.Errorf("conditions: %v", list)
	}
}

// broken is a server of datagrams whose socket fails once.
type broken struct {
	lingering
	fails chan error
}

func (b *broken) Serve(conn net.PacketConn) error {
	select {
	case err := <-b.fails:
		return err
	case <-b.drained:
		return nil
	}
}

// TestDatagramsFail: a UDP socket that cannot be read any more is bound anew, and until then it is
// said why nobody serves it.
func TestDatagramsFail(t *testing.T) {
	t.Parallel()
	s, said, letGo := withDatagrams(t)
	defer close(letGo)
	fails := make(chan error)
	s.newDatagramServer = func(Bind) DatagramServer {
		return &broken{lingering: lingering{letGo: letGo, drained: make(chan struct{})}, fails: fails}
	}
	states := make(chan string)
	s.changed = func() {
		now := []string{said("a")}
		for _, c := range s.conditions() {
			now = append(now, c.Message)
		}
		states <- fmt.Sprint(now)
	}
	tcp := Bind{Listener: "a", Address: freeAddress(), AltSvc: 443}
	udp := tcp
	udp.Datagrams = true
	s.set(tcp, udp)
	fails <- errors.New("the network is gone")
	for _, want := range []string{"[0 cannot listen on " + udp.Address + "/udp: the network is gone; it is tried again]", "[443]"} {
		select {
		case got := <-states:
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatal("nothing changes")
		}
		go s.vacated() // sooner than in an hour
	}
}
