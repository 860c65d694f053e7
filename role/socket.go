package role

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	proxysocket "github.com/sluicegate/sluice/proxy/socket"
)

// unixScheme marks an address as the path of a unix socket.
const unixScheme = "unix://"

// handshake is how long one that has begun may take when a socket stops.
const handshake = 10 * time.Millisecond

// socket is a listening socket that can stop without losing a connection: those whose
// handshake the kernel has completed are accepted before it closes.
type socket struct {
	net.Listener
	stopping atomic.Bool
}

// bind opens a listening socket at "host:port" or "unix:///path". "::" serves IPv4
// too, 0.0.0.0 only IPv4. Go sets SO_REUSEADDR, so that connections in TIME_WAIT do not
// hinder a restart.
func bind(ctx context.Context, address string) (*socket, error) {
	network, path := ofFamily("tcp", address), address
	if p, ok := strings.CutPrefix(address, unixScheme); ok {
		network, path = "unix", p
		proxysocket.RemoveStale(p)
	}
	var config net.ListenConfig
	keepAlive(&config)
	l, err := config.Listen(ctx, network, path)
	if err != nil {
		return nil, err
	}
	own, err := proxysocket.NewListener(l)
	if err != nil {
		l.Close() // or the address stays taken, by a socket at which nobody accepts
		return nil, err
	}
	return &socket{Listener: own}, nil
}

// bindDatagrams opens a UDP socket at "host:port", of the same families as bind.
func bindDatagrams(address string) (net.PacketConn, error) {
	return net.ListenPacket(ofFamily("udp", address), address)
}

// ofFamily narrows a network to IPv4 for an address of that: for "tcp" and "udp", Go takes
// 0.0.0.0 for every address of both kinds.
func ofFamily(network, address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is4() {
		return network + "4"
	}
	return network
}

// Accept returns the next connection. After stop it returns those that wait, and then
// closes the socket and returns net.ErrClosed.
func (s *socket) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err == nil || !s.stopping.Load() {
		return c, err
	}
	if c := waiting(s.Listener); c != nil {
		return c, nil
	}
	s.Close()
	return nil, net.ErrClosed
}

// stop lets Accept empty the queue and end. Where the kernel can be told to refuse further
// handshakes, those that have begun get a moment to end in the queue: what comes into it between
// the last look and the close would be reset. Whoever calls it again changes nothing: without
// privileges the kernel is told only once, and would then seem unable.
func (s *socket) stop() {
	if s.stopping.Swap(true) {
		return
	}
	until := time.Unix(1, 0)
	if refuseHandshakes(s.Listener) {
		until = time.Now().Add(handshake)
	}
	type deadliner interface{ SetDeadline(time.Time) error }
	if d, ok := s.Listener.(deadliner); !ok || d.SetDeadline(until) != nil {
		s.Close()
	}
}

// address returns where the socket listens, as it would be asked for.
func (s *socket) address() string {
	if s.Addr().Network() == "unix" {
		return unixScheme + s.Addr().String()
	}
	return s.Addr().String()
}
