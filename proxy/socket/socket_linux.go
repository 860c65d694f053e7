package socket

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a connection as the codecs drive it. On Linux the plain reads and writes of
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
type Socket struct {
	conn net.Conn
	// tls is conn where that is one; raw and fd are then of what carries it.
	tls *TLS
	raw syscall.RawConn
	fd  int
	fn  func(fd uintptr) bool
	// stopped, if not 0, lets nothing more be written; it is accessed atomically.
	stopped uint32
}

// New prepares conn for step, which Run calls. A connection that has no file descriptor, nor
// is a [TLS] over one that has, is driven by ordinary reads.
func New(conn net.Conn, step func() bool) Socket {
	s := Socket{conn: conn, fd: -1}
	carrier := conn
	if t, ok := conn.(*TLS); ok {
		s.tls, carrier = t, t.wire.Conn
	}
	if sc, ok := carrier.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	if s.raw == nil {
		s.tls = nil
		s.fn = func(uintptr) bool { return step() }
		return s
	}
	// The descriptor stays valid inside every callback: the runtime holds it.
	s.raw.Control(func(fd uintptr) { s.fd = int(fd) })
	if s.tls == nil {
		s.fn = func(uintptr) bool { return step() }
		return s
	}
	w, fd := s.tls.wire, s.fd
	w.pull = func(p []byte) (int, bool, error) { return readNow(fd, p) }
	w.push = func(p []byte) error { return writeNow(fd, carrier, p) }
	s.fn = func(uintptr) bool {
		w.direct, w.short = true, false
		done := step()
		w.direct = false
		return done
	}
	return s
}

// Run calls the step until it returns true. It returns the poller's error: a closed
// connection or an expired deadline.
func (s *Socket) Run() error {
	if s.raw == nil {
		for !s.fn(0) {
		}
		return nil
	}
	return s.raw.Read(s.fn)
}

// Read reads what is there. again says that nothing is (yet); then the step returns false.
// The end of the stream is io.EOF. It may be called from inside the step only.
func (s *Socket) Read(p []byte) (n int, again bool, err error) {
	switch {
	case s.tls != nil:
		n, err = s.tls.Conn.Read(p)
		if err == errWait {
			return n, n == 0, nil
		}
		return n, false, err
	case s.raw == nil:
		n, err = s.conn.Read(p)
		return n, false, err
	}
	return readNow(s.fd, p)
}

// Thorough has Read say again only where the kernel has nothing, which costs a system call each
// time. Without it, inside TLS, a read that left the socket empty is enough: an end that came
// together with the last bytes is then overlooked, and no edge will tell of it.
func (s *Socket) Thorough() {
	if s.tls != nil {
		s.tls.wire.thorough = true
	}
}

// readNow receives rather than reads: the kernel then goes straight to the socket, past what it
// does for files (their position, their watchers), which is worth 1 to 2 percent of a request.
func readNow(fd int, p []byte) (n int, again bool, err error) {
	for {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
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

// Short tells whether a Read of n bytes into a buffer of that room left the socket empty,
// so that the next edge will tell of new data.
func (s *Socket) Short(n, room int) bool {
	if s.tls != nil {
		return n < room && !s.behind() && s.tls.wire.short
	}
	return s.raw != nil && n < room
}

// behind tells whether something was read that the codec has not had yet.
func (s *Socket) behind() bool { return s.tls != nil && s.tls.wire.r < s.tls.wire.w }

// StopWrites makes every write from now on fail. It may be called from any goroutine.
func (s *Socket) StopWrites() { atomic.StoreUint32(&s.stopped, 1) }

// Write writes all of p, parking the goroutine where the peer is slow. The connection must not
// be closed meanwhile.
func (s *Socket) Write(p []byte) error {
	switch {
	case s.raw == nil:
		_, err := s.conn.Write(p)
		return err
	case atomic.LoadUint32(&s.stopped) != 0:
		return os.ErrDeadlineExceeded
	case s.tls != nil:
		return s.tls.write(p)
	}
	return writeNow(s.fd, s.conn, p)
}

// writeNow sends for the reason for which readNow receives.
func writeNow(fd int, conn net.Conn, p []byte) error {
	for len(p) > 0 {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			p = p[r:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			_, err := conn.Write(p)
			return err
		default:
			return os.NewSyscallError("write", errno)
		}
	}
	return nil
}

// Writev writes a, b and c, in one system call where the peer takes them.
func (s *Socket) Writev(a, b, c []byte) error {
	if s.tls != nil {
		if atomic.LoadUint32(&s.stopped) != 0 {
			return os.ErrDeadlineExceeded
		}
		return s.tls.write(a, b, c)
	}
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
func (s *Socket) writeEach(parts [][]byte, skip int) error {
	for _, p := range parts {
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		if err := s.Write(p[skip:]); err != nil {
			return err
		}
		skip = 0
	}
	return nil
}

// Check is what a look at a connection that nobody reads finds.
type Check uint8

const (
	Quiet Check = iota
	Data
	Closed
)

// Peek looks, without reading, whether the peer has sent something or has gone. The caller
// must own the connection: nobody may close it meanwhile.
func (s *Socket) Peek() Check {
	if s.raw != nil && s.behind() {
		return Data
	}
	return s.Glance()
}

// Drained tells that all that has come from the peer was read; it may have ended the connection.
// The caller must own the connection: nobody may close it meanwhile.
func (s *Socket) Drained() bool { return s.raw == nil || !s.behind() && !unread(uintptr(s.fd)) }

// Glance is Peek for others than the one who reads: of what was read already it knows nothing.
// It may be called while Run is on, as long as the connection is not closed meanwhile.
func (s *Socket) Glance() Check {
	if s.raw == nil {
		return Quiet
	}
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	n, ok := pollNow(fds[:])
	switch re := fds[0].Revents; {
	case !ok || n == 0:
		return Quiet
	case re&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return Closed
	case re&unix.POLLIN != 0:
		return Data
	default:
		return Quiet
	}
}

// Gone tells whether the peer has ended the connection; what it sent before may be unread. A
// step that came upon less than it had room for has not seen an end that came together with
// those bytes, and no edge will tell of it. Gone may be called while Run is on, as long as the
// connection is not closed meanwhile.
func (s *Socket) Gone() bool {
	if s.raw == nil {
		return false
	}
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLRDHUP}}
	n, ok := pollNow(fds[:])
	return ok && n > 0
}

// Moved returns a count that grows while bytes arrive from the peer, or are acknowledged by
// it. The caller must own the connection.
func (s *Socket) Moved() int64 {
	if s.raw == nil {
		return 0
	}
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int64(info.Bytes_acked + info.Bytes_received)
}

// PeekAll tells of each socket, at most MaxPeek, whether a Peek would find it quiet, with one
// system call. Those without a descriptor of their own count as quiet.
func PeekAll(sockets []*Socket, quiet *[MaxPeek]bool) {
	var fds [MaxPeek]unix.PollFd
	for i, s := range sockets {
		fds[i] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLRDHUP}
	}
	_, ok := pollNow(fds[:len(sockets)])
	for i, s := range sockets {
		quiet[i] = ok && fds[i].Revents == 0 && !s.behind()
	}
}

// pollNow asks for what has happened, and does not wait. So it needs not be announced to the
// scheduler, which would wake a thread that looks after those who do.
func pollNow(fds []unix.PollFd) (ready int, ok bool) {
	if len(fds) == 0 {
		return 0, true
	}
	var now unix.Timespec
	n, _, err := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return int(n), err == 0
}
