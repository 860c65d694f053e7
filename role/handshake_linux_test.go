package role

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// Nobody connects to a socket that stops, and who has connected is served.
func TestRefuseHandshakes(t *testing.T) {
	t.Parallel()
	s, err := bind(t.Context(), freeAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if !refuseHandshakes(s.Listener) {
		t.Skip("the kernel cannot do it here")
	}
	if c, err := net.Dial("tcp", s.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			c.Close()
		}
		t.Errorf("a connection that begins then: %v", err)
	}
	accepted, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for _, way := range [][2]net.Conn{{before, accepted}, {accepted, before}} {
		way[1].SetDeadline(time.Now().Add(patience))
		way[0].Write([]byte("x"))
		if _, err := way[1].Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
}
