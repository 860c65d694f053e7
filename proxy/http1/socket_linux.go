package http1

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a connection as the codecs drive it. On Linux the plain reads and writes of
// the hot path are single non-blocking system calls from inside one callback of the
// runtime's poller:
//
//   - run calls step; when step returns false the goroutine parks until the socket has an
//     edge (new data, or the end) since run began, and then calls step again;
//   - so a step that has just emptied the socket, or just written a request to it, may
//     return false without a read that would only answer EAGAIN;
//   - run starts by forgetting edges, so the first thing a step does must be a read, or
//     a write whose answer makes a new edge.
//
// While run is on, nobody else can read from conn; writes are free.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn
	fd   int
	fn   func(fd uintptr) bool
	// stopped, if not 0, lets nothing more be written; it is accessed atomically.
	stopped uint32
}

// newSocket prepares conn for step, which run calls. A connection without a file
// descriptor of its own (TLS) is driven by ordinary reads.
func newSocket(conn net.Conn, step func() bool) socket {
	s := socket{conn: conn, fd: -1}
	if sc, ok := conn.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	s.fn = func(uintptr) bool { return step() }
	if s.raw != nil {
		// The descriptor stays valid inside every callback: the runtime holds it.
		s.raw.Control(func(fd uintptr) { s.fd = int(fd) })
	}
	return s
}

// run calls the step until it returns true. It returns the poller's error: a closed
// connection or an expired deadline.
func (s *socket) run() error {
	if s.raw == nil {
		for !s.fn(0) {
		}
		return nil
	}
	return s.raw.Read(s.fn)
}

// read reads what is there. again says that nothing is (yet); then the step returns false.
// The end of the stream is io.EOF.
func (s *socket) read(p []byte) (n int, again bool, err error) {
	if s.raw == nil {
		n, err = s.conn.Read(p)
		return n, false, err
	}
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch {
		case errno == 0 && r == 0:
			return 0, false, io.EOF
		case errno == 0:
			return int(r), false, nil
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, os.NewSyscallError("read", errno)
		}
	}
}

// short tells whether a read of n bytes into a buffer of that room left the socket empty,
// so that the next edge will tell of new data.
func (s *socket) short(n, room int) bool { return s.raw != nil && n < room }

// stopWrites makes every write from now on fail. It may be called from any goroutine.
func (s *socket) stopWrites() { atomic.StoreUint32(&s.stopped, 1) }

// write writes all of p, parking the goroutine where the peer is slow.
func (s *socket) write(p []byte) error {
	if s.raw == nil {
		_, err := s.conn.Write(p)
		return err
	}
	if atomic.LoadUint32(&s.stopped) != 0 {
		return os.ErrDeadlineExceeded
	}
	for len(p) > 0 {
		r, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			p = p[r:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			_, err := s.conn.Write(p)
			return err
		default:
			return os.NewSyscallError("write", errno)
		}
	}
	return nil
}

// writev writes a, b and c, in one system call where the peer takes them.
func (s *socket) writev(a, b, c []byte) error {
	parts := [3][]byte{a, b, c}
	if s.raw == nil || atomic.LoadUint32(&s.stopped) != 0 {
		return s.writeEach(parts[:], 0)
	}
	var iov [3]unix.Iovec
	n := 0
	for _, p := range parts {
		if len(p) > 0 {
			iov[n].Base = unsafe.SliceData(p)
			iov[n].SetLen(len(p))
			n++
		}
	}
	r, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(s.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(n))
	switch errno {
	case 0:
		return s.writeEach(parts[:], int(r))
	case syscall.EAGAIN, syscall.EINTR:
		return s.writeEach(parts[:], 0)
	default:
		return os.NewSyscallError("writev", errno)
	}
}

// writeEach writes what is left of parts after the first skip bytes.
func (s *socket) writeEach(parts [][]byte, skip int) error {
	for _, p := range parts {
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		if err := s.write(p[skip:]); err != nil {
			return err
		}
		skip = 0
	}
	return nil
}

// idleCheck is what a look at a connection that nobody reads finds.
type idleCheck uint8

const (
	idleQuiet idleCheck = iota
	idleData
	idleClosed
)

// peek looks, without reading, whether the peer has sent something or has gone. The caller
// must own the connection: nobody may close it meanwhile.
func (s *socket) peek() idleCheck {
	if s.raw == nil {
		return idleQuiet
	}
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	switch re := fds[0].Revents; {
	case err != nil || n == 0:
		return idleQuiet
	case re&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return idleClosed
	case re&unix.POLLIN != 0:
		return idleData
	default:
		return idleQuiet
	}
}

// moved returns a count that grows while bytes arrive from the peer, or are acknowledged by
// it. The caller must own the connection.
func (s *socket) moved() int64 {
	if s.raw == nil {
		return 0
	}
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int64(info.Bytes_acked + info.Bytes_received)
}

// peekAll tells of each connection whether a peek would find it quiet. Those without a
// descriptor of their own count as quiet.
func peekAll(conns []*Conn, quiet *[MaxLook]bool) {
	var fds [MaxLook]unix.PollFd
	for i, c := range conns {
		fds[i] = unix.PollFd{Fd: int32(c.sock.fd), Events: unix.POLLIN | unix.POLLRDHUP}
	}
	_, err := unix.Poll(fds[:len(conns)], 0)
	for i := range conns {
		quiet[i] = err == nil && fds[i].Revents == 0
	}
}
