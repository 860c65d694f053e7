package socket

import (
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection that a [Listener] has accepted. To those who use it, it is a
// net.TCPConn. Like that it is safe for concurrent use.
type Conn struct {
	file          *os.File
	raw           rawConn
	local, remote *net.TCPAddr
	closer        *closer
	// closed tells that Close was called, abrupt that it is to reset the connection or to wait.
	closed, abrupt atomic.Bool
}

// newConn takes an accepted, non-blocking socket over.
func newConn(fd int, remote *net.TCPAddr, closer *closer) (*Conn, error) {
	c := &Conn{file: os.NewFile(uintptr(fd), "tcp"), remote: remote, closer: closer}
	inner, err := c.file.SyscallConn()
	if err == nil {
		err = c.file.SetDeadline(time.Time{}) // fails where the runtime cannot wait for it
	}
	if err == nil {
		c.raw = rawConn{c, inner}
		c.local, err = localAddress(fd)
	}
	if err != nil {
		c.file.Close()
		return nil, err
	}
	return c, nil
}

// localAddress returns the address by which a client has reached this socket.
func localAddress(fd int) (*net.TCPAddr, error) {
	var a unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	if _, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return nil, os.NewSyscallError("getsockname", errno)
	}
	return addressOf(&a), nil
}

// addressOf returns an address of IPv4 or IPv6 as the kernel has written it.
func addressOf(a *unix.RawSockaddrAny) *net.TCPAddr {
	switch a.Addr.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return &net.TCPAddr{IP: slices.Clone(v4.Addr[:]), Port: portOf(&v4.Port)}
	case unix.AF_INET6:
		v6 := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		return &net.TCPAddr{IP: slices.Clone(v6.Addr[:]), Port: portOf(&v6.Port), Zone: zone(v6.Scope_id)}
	}
	return &net.TCPAddr{}
}

// portOf reads a port, which is in the network's order.
func portOf(p *uint16) int {
	b := (*[2]byte)(unsafe.Pointer(p))
	return int(b[0])<<8 | int(b[1])
}

// zone returns the name of the interface that a link-local address belongs to.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(index))
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	return n, c.failed("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, c.failed("write", err)
}

// ReadFrom implements io.ReaderFrom: what comes from another connection does not pass through
// this process' memory.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.file.ReadFrom(r)
	return n, c.failed("readfrom", err)
}

// Close implements net.Conn. The peer is told at once; the descriptor is given back a moment
// later, with those of others.
func (c *Conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.failed("close", net.ErrClosed)
	}
	if c.abrupt.Load() {
		return c.failed("close", c.file.Close())
	}
	c.file.SetDeadline(past) // whoever waits does so no longer
	c.raw.inner.Control(end)
	c.closer.add(c.file)
	return nil
}

// end ends a connection whose descriptor stays. Where all that came was read, another socket
// takes the descriptor's place: nothing that the peer does from now on, such as to end its side,
// wakes this process. Else the kernel would reset the connection, and could cost the peer what it
// has not read yet.
func end(fd uintptr) {
	if !unread(fd) {
		if _, _, errno := syscall.RawSyscall(unix.SYS_DUP3, ended(), fd, unix.O_CLOEXEC); errno == 0 {
			return
		}
	}
	syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, unix.SHUT_RDWR, 0)
}

// unread tells whether bytes have come on a socket that nobody has read.
func unread(fd uintptr) bool {
	var one [1]byte
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == 0 && n > 0
}

// ended returns a socket that has been at its end from the first: reads find that, and writes
// fail. Where there is none it is no descriptor.
var ended = sync.OnceValue(func() uintptr {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ^uintptr(0)
	}
	unix.Shutdown(pair[0], unix.SHUT_RDWR)
	unix.Close(pair[1])
	return uintptr(pair[0])
})

var past = time.Unix(1, 0)

// CloseWrite ends what is sent; the peer may go on.
func (c *Conn) CloseWrite() error {
	return c.control("shutdown", func(fd uintptr) error {
		if _, _, errno := syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, unix.SHUT_WR, 0); errno != 0 {
			return errno
		}
		return nil
	})
}

// SetLinger says for how many seconds Close leaves what is unsent with the kernel: 0 resets the
// connection, below 0 is the default.
func (c *Conn) SetLinger(sec int) error {
	c.abrupt.Store(sec >= 0)
	linger := unix.Linger{Onoff: 1, Linger: int32(sec)}
	if sec < 0 {
		linger = unix.Linger{}
	}
	return c.control("setsockopt", func(fd uintptr) error {
		return unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &linger)
	})
}

// control calls f while the socket cannot be closed.
func (c *Conn) control(name string, f func(fd uintptr) error) error {
	var err error
	if c.closed.Load() || c.raw.inner.Control(func(fd uintptr) { err = os.NewSyscallError(name, f(fd)) }) != nil {
		err = net.ErrClosed
	}
	return c.failed(name, err)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.deadline(c.file.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.deadline(c.file.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.deadline(c.file.SetWriteDeadline, t) }

func (c *Conn) deadline(set func(time.Time) error, t time.Time) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	err := set(t)
	if c.closed.Load() {
		c.file.SetDeadline(past) // Close has come in between.
	}
	return c.failed("set", err)
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return &c.raw, nil }

// failed returns an error of the file as a net.TCPConn has it.
func (c *Conn) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	if c.closed.Load() {
		err = net.ErrClosed
	}
	if err == io.EOF {
		return err
	}
	if path, ok := err.(*os.PathError); ok {
		err = path.Err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// rawConn is the socket of a Conn, with the errors of package net.
type rawConn struct {
	c     *Conn
	inner syscall.RawConn
}

func (r *rawConn) Control(f func(fd uintptr)) error {
	if r.c.closed.Load() {
		return r.c.failed("raw-control", net.ErrClosed)
	}
	return r.c.failed("raw-control", r.inner.Control(f))
}

func (r *rawConn) Read(f func(fd uintptr) bool) error {
	return r.c.failed("raw-read", r.inner.Read(f))
}

func (r *rawConn) Write(f func(fd uintptr) bool) error {
	return r.c.failed("raw-write", r.inner.Write(f))
}

// Plain returns the socket of a connection whose bytes are those of one, nil for others.
func Plain(conn net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := conn.(type) {
	case *Conn:
		return &c.raw
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

var _ interface {
	net.Conn
	syscall.Conn
	io.ReaderFrom
} = (*Conn)(nil)
