package role

import (
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestSocketStopEmptiesQueue: connections that completed their handshake before stop
// are served although nobody had accepted them.
func TestSocketStopEmptiesQueue(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"tcp":  freeAddress(),
		"unix": unixScheme + filepath.Join(t.TempDir(), "s"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := bind(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			const clients = 5
			for range clients {
				c, err := net.Dial(s.Addr().Network(), s.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			s.stop()
			for i := range clients {
				c, err := s.Accept()
				if err != nil {
					t.Fatalf("connection %d is lost: %v", i, err)
				}
				c.Close()
			}
			if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("then got %v, want net.ErrClosed", err)
			}
			if c, err := net.Dial(s.Addr().Network(), s.Addr().String()); err == nil {
				c.Close()
				t.Error("the address still answers")
			}
		})
	}
}

// TestSocketStopWakesAccept: stop ends an Accept that waits.
func TestSocketStopWakesAccept(t *testing.T) {
	t.Parallel()
	s, err := bind(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Accept()
		ended <- err
	}()
	s.stop()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	case <-time.After(patience):
		t.Error("Accept still waits")
	}
}

// TestBindStaleUnixSocket: a socket file without a server is replaced, one with a
// server is not.
func TestBindStaleUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := bind(t.Context(), unixScheme+path); err == nil {
		s.Close()
		t.Fatal("took the address of a living server")
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	s, err := bind(t.Context(), unixScheme+path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestBindFamilies: "::" serves IPv4 as well, 0.0.0.0 does not serve IPv6.
func TestBindFamilies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, from string
		served        bool
	}{
		{"[::]:0", "127.0.0.1", true},
		{"[::]:0", "::1", true},
		{"0.0.0.0:0", "127.0.0.1", true},
		{"0.0.0.0:0", "::1", false},
	} {
		s, err := bind(t.Context(), c.address)
		if err != nil {
			t.Skip("no IPv6 here:", err)
		}
		_, port, _ := net.SplitHostPort(s.Addr().String())
		conn, err := net.Dial("tcp", net.JoinHostPort(c.from, port))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != c.served {
			t.Errorf("%s called at %s: %v, want served %t", c.address, c.from, err, c.served)
		}
		s.Close()
	}
}

// TestDatagramFamilies: 0.0.0.0 is IPv4 only, and :: both kinds, as for connections.
func TestDatagramFamilies(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"0.0.0.0:0": false, "[::]:0": true} {
		conn, err := bindDatagrams(address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		// Whoever has the port for IPv6 too leaves none there.
		other, err := net.ListenPacket("udp6", "[::1]:"+port)
		if err == nil {
			other.Close()
		}
		if got := err != nil; got != want {
			t.Errorf("%s has the port of ::1: %t, want %t", address, got, want)
		}
	}
}
