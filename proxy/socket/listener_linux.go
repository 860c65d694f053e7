package socket

import (
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listener accepts connections as the net.TCPListener does that it was made of, but the
// scheduler is not told of the system calls for it: each of them would wake a thread that looks
// after calls that take long, where the process was idle before. Its connections are each a
// [Conn]. They have the options of the listening socket, which Linux hands down, TCP_NODELAY
// among them.
//
// It is safe for concurrent use.
type Listener struct {
	tcp  *net.TCPListener
	file *os.File // another descriptor of the same socket, for the runtime to wait at
	raw  syscall.RawConn

	closer closer
}

// NewListener returns a listener that accepts in place of l, and owns it from now on. One that is
// not of TCP is returned as it is.
func NewListener(l net.Listener) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l, nil
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err == nil {
		err = noDelay(raw)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Listener{tcp: tcp, file: file, raw: raw}, nil
}

func noDelay(raw syscall.RawConn) (err error) {
	if controlErr := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}); controlErr != nil {
		return controlErr
	}
	return err
}

// Accept implements net.Listener. Its errors are those of a net.TCPListener.
func (l *Listener) Accept() (net.Conn, error) {
	var a accepted
	err := polled(l.raw.Read(func(fd uintptr) bool { return a.next(int(fd)) }))
	if err == nil {
		err = a.err
	}
	return l.connection(&a, err)
}

// AcceptNow returns a connection that waits in the kernel's queue, nil where there is none, and
// whatever the deadline.
func (l *Listener) AcceptNow() net.Conn {
	var a accepted
	a.fd = -1
	if l.raw.Control(func(fd uintptr) { a.next(int(fd)) }) != nil || a.fd < 0 {
		return nil
	}
	c, err := l.connection(&a, a.err)
	if err != nil {
		return nil
	}
	return c
}

func (l *Listener) connection(a *accepted, err error) (net.Conn, error) {
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
	}
	return newConn(a.fd, addressOf(&a.peer), &l.closer)
}

// accepted is what the kernel had for an Accept.
type accepted struct {
	fd   int
	peer unix.RawSockaddrAny
	err  error
}

// next takes a connection off the kernel's queue, and tells false where there is none.
func (a *accepted) next(listener int) bool {
	for {
		size := uint32(unix.SizeofSockaddrAny)
		fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&a.peer)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			a.fd = int(fd)
			return true
		case syscall.EINTR, syscall.ECONNABORTED: // one has gone before it was accepted
		case syscall.EAGAIN:
			return false
		default:
			a.err = os.NewSyscallError("accept4", errno)
			return true
		}
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	err := l.tcp.Close()
	l.file.Close()
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// SetDeadline bounds how long Accept waits.
func (l *Listener) SetDeadline(t time.Time) error { return l.file.SetReadDeadline(t) }

// SyscallConn returns the listening socket.
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return l.raw, nil }

// polled returns an error of the runtime's poller at the listening socket as package net has it.
// There are two; that of a closed file has no name.
func polled(err error) error {
	if err == nil || err == os.ErrDeadlineExceeded {
		return err
	}
	return net.ErrClosed
}
