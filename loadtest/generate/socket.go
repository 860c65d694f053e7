package generate

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a connection may take to be made, or a handshake or a first answer.
const patience = 10 * time.Second

// socket is a TCP connection without the runtime's poller, whose wake-ups would cost more than
// the requests. It has the methods that crypto/tls uses; while it is patient they wait, and then
// Read returns EAGAIN, a temporary error, where nothing is there, and Write keeps what the kernel
// does not take.
type socket struct {
	net.Conn // nil: for the methods that crypto/tls does not call
	fd       int
	patient  bool
	// pending is what has not been written yet.
	pending []byte
	// drained says that the last read left nothing, until the next event.
	drained bool
}

// address makes what unix.Connect takes of host:port.
func address(hostPort string) (unix.Sockaddr, error) {
	ap, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("the address %q: %w", hostPort, err)
	}
	if ip := ap.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()}, nil
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

// dial begins a connection. It need not be complete: what is written meanwhile waits.
func dial(addr unix.Sockaddr) (*socket, error) {
	family := unix.AF_INET
	if _, ok := addr.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		s.Close()
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Connect(fd, addr); err != nil && err != unix.EINPROGRESS {
		s.Close()
		return nil, os.NewSyscallError("connect", err)
	}
	return s, nil
}

// connected waits until the connection is complete.
func (s *socket) connected() error {
	if err := s.wait(unix.POLLOUT); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if code != 0 {
		return os.NewSyscallError("connect", unix.Errno(code))
	}
	return nil
}

// wait waits for an event, for as long as patience is.
func (s *socket) wait(events int16) error {
	deadline := time.Now().Add(patience)
	for {
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
		n, err := unix.Poll(fds, max(int(time.Until(deadline).Milliseconds()), 0))
		switch {
		case err != nil && err != unix.EINTR:
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		case !time.Now().Before(deadline):
			return fmt.Errorf("nothing in %s", patience)
		}
	}
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.drained && !s.patient {
			return 0, unix.EAGAIN
		}
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN && s.patient:
			if err := s.wait(unix.POLLIN); err != nil {
				return 0, err
			}
		case err != nil:
			s.drained = err == unix.EAGAIN
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			// Less than there was room for: the next event tells of more.
			s.drained = n < len(p)
			return n, nil
		}
	}
}

// discard reads up to n bytes that nobody looks at; the kernel need not copy them (tcp(7),
// MSG_TRUNC).
func (s *socket) discard(room []byte) (int, error) {
	for {
		if s.drained {
			return 0, unix.EAGAIN
		}
		n, _, err := unix.Recvfrom(s.fd, room, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
		case err != nil:
			s.drained = err == unix.EAGAIN
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			s.drained = n < len(room)
			return n, nil
		}
	}
}

func (s *socket) Write(p []byte) (int, error) {
	if len(s.pending) > 0 {
		s.pending = append(s.pending, p...)
		return len(p), s.push()
	}
	n, err := s.write(p)
	if err == nil && n < len(p) {
		s.pending = append(s.pending, p[n:]...)
	}
	return len(p), err
}

// push writes what is pending, as far as the kernel takes it.
func (s *socket) push() error {
	n, err := s.write(s.pending)
	s.pending = s.pending[:copy(s.pending, s.pending[n:])]
	return err
}

// write writes as much as the kernel takes, or all where the socket is patient.
func (s *socket) write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := unix.Write(s.fd, p[written:])
		written += max(n, 0)
		switch {
		case err == nil || err == unix.EINTR:
		case errors.Is(err, unix.EAGAIN) && s.patient:
			if err := s.wait(unix.POLLOUT); err != nil {
				return written, err
			}
		case errors.Is(err, unix.EAGAIN):
			return written, nil
		default:
			return written, err
		}
	}
	return written, nil
}

func (s *socket) Close() error { return unix.Close(s.fd) }

func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
