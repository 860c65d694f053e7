package role

import (
	"errors"
	"math"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
		if err := bindsToInterfaces(t); err != nil {
			t.Skip("the kernel cannot do it here:", err)
		}
		t.Fatal("the socket was not told, though the kernel can do it")
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

// bindsToInterfaces returns why no socket can be bound to an interface's number: Linux is older
// than 5.7, or not Linux.
func bindsToInterfaces(t *testing.T) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, math.MaxInt32)
}

// A process that may do nothing special has handshakes that have begun end too, however often
// its socket is told to stop.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	s, err := bind(t.Context(), freeAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	took := make(chan time.Duration)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := giveUp(unix.CAP_NET_RAW); err != nil {
			t.Error(err)
		}
		began := time.Now()
		s.stop()
		s.stop()
		_, err := s.Accept()
		took <- time.Since(began)
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}()
	if d := <-took; d < handshake && bindsToInterfaces(t) == nil {
		t.Errorf("the socket closed after %v, want at least %v", d, handshake)
	}
}

// giveUp takes a capability from the thread.
func giveUp(capability uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[capability/32].Effective &^= 1 << (capability % 32)
	return unix.Capset(&header, &data[0])
}
