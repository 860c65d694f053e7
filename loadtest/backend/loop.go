package backend

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"unsafe"
)

// loop waits for all sockets. Everything in it belongs to one goroutine.
type loop struct {
	epoll int
	// life is a file that ends with the loop.
	life int
	// accepting and conns are by file descriptor.
	accepting map[int]func(*loop, *conn) handler
	conns     []*conn
	// scratch is what is read into; out is for handlers to put answers together.
	scratch, out []byte
}

// handler takes the input of a connection as far as it is complete and returns how much that
// was. What it returns as an error ends the connection.
type handler func(l *loop, c *conn, in []byte) (used int, err error)

// conn is a connection of a proxy.
type conn struct {
	fd     int
	handle handler
	// rest is input that was not complete.
	rest []byte
	// waiting are bytes that the socket did not take yet.
	waiting [][]byte
	// last says to close once everything is written.
	last bool
}

// longest bounds the input that is kept for one connection.
const longest = 32 << 20

func newLoop() (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &loop{epoll: fd, life: -1, accepting: map[int]func(*loop, *conn) handler{}, scratch: make([]byte, 256<<10)}, nil
}

// accept adds a listening socket; greet is asked how a connection is handled.
func (l *loop) accept(fd int, greet func(*loop, *conn) handler) error {
	l.accepting[fd] = greet
	return l.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN)
}

// until has the loop end when a file does.
func (l *loop) until(fd int) error {
	l.life = fd
	err := l.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("standard input must be a pipe, whose end ends the backends")
	}
	return err
}

func (l *loop) watch(op, fd int, events uint32) error {
	return syscall.EpollCtl(l.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

// run serves until life ends. With alone it waits without telling Go's scheduler, which is
// cheaper, and nothing else in the process runs meanwhile.
func (l *loop) run(alone bool) error {
	events := make([]syscall.EpollEvent, 256)
	for {
		n, err := l.wait(events, alone)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			fd := int(e.Fd)
			switch greet, listening := l.accepting[fd]; {
			case fd == l.life:
				l.close()
				return nil
			case listening:
				l.take(fd, greet)
			default:
				l.serve(l.conns[fd], e.Events)
			}
		}
	}
}

func (l *loop) wait(events []syscall.EpollEvent, alone bool) (int, error) {
	if !alone {
		return syscall.EpollWait(l.epoll, events, -1)
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// transfer reads from a socket or writes to it, without telling Go's scheduler: it does not wait.
func transfer(call uintptr, fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func (l *loop) close() {
	for fd := range l.accepting {
		syscall.Close(fd)
	}
	for _, c := range l.conns {
		if c != nil {
			syscall.Close(c.fd)
		}
	}
	syscall.Close(l.epoll)
}

// take accepts the connections that wait at a socket.
func (l *loop) take(fd int, greet func(*loop, *conn) handler) {
	for {
		nfd, _, err := syscall.Accept4(fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		c := &conn{fd: nfd}
		c.handle = greet(l, c)
		l.keep(c)
	}
}

// keep has the loop read a connection, which is closed where that cannot be.
func (l *loop) keep(c *conn) error {
	syscall.SetsockoptInt(c.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if c.fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*conn, c.fd+1-len(l.conns))...)
	}
	l.conns[c.fd] = c
	err := l.watch(syscall.EPOLL_CTL_ADD, c.fd, syscall.EPOLLIN)
	if err != nil {
		l.drop(c)
	}
	return err
}

func (l *loop) drop(c *conn) {
	l.conns[c.fd] = nil
	syscall.Close(c.fd)
}

// serve goes on with a connection that is ready.
func (l *loop) serve(c *conn, events uint32) {
	if c == nil {
		return
	}
	if len(c.waiting) > 0 {
		if events&(syscall.EPOLLERR|syscall.EPOLLHUP) != 0 || c.flush() != nil {
			l.drop(c)
			return
		}
		if len(c.waiting) > 0 {
			return
		}
		if c.last || l.feed(c, nil) != nil {
			l.drop(c)
			return
		}
		if len(c.waiting) == 0 {
			l.watch(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLIN)
		}
		return
	}
	n, err := transfer(syscall.SYS_RECVFROM, c.fd, l.scratch)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if n <= 0 || err != nil || l.feed(c, l.scratch[:n]) != nil {
		l.drop(c)
		return
	}
	if len(c.waiting) > 0 {
		// Nothing more is read before the answer is away.
		l.watch(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLOUT)
	} else if c.last {
		l.drop(c)
	}
}

// feed hands input to the connection's handler until that is done with it or waits for the
// socket.
func (l *loop) feed(c *conn, in []byte) error {
	if len(c.rest) > 0 {
		c.rest = append(c.rest, in...)
		in = c.rest
	}
	for len(in) > 0 && len(c.waiting) == 0 && !c.last {
		used, err := c.handle(l, c, in)
		if err != nil {
			return err
		}
		if used == 0 {
			break
		}
		in = in[used:]
	}
	if len(in) > longest {
		return fmt.Errorf("more than %d bytes that are not complete", longest)
	}
	c.rest = append(c.rest[:0], in...)
	return nil
}

// write sends bytes that are the caller's again afterwards.
func (c *conn) write(p []byte) error {
	waits := len(c.waiting)
	if err := c.send(p); err != nil {
		return err
	}
	for i := waits; i < len(c.waiting); i++ {
		c.waiting[i] = slices.Clone(c.waiting[i])
	}
	return nil
}

// send sends bytes that never change.
func (c *conn) send(p []byte) error {
	c.waiting = append(c.waiting, p)
	if len(c.waiting) > 1 {
		return nil
	}
	return c.flush()
}

// flush writes what the socket takes.
func (c *conn) flush() error {
	for len(c.waiting) > 0 {
		p := c.waiting[0]
		n, err := transfer(syscall.SYS_SENDTO, c.fd, p)
		if n > 0 {
			p = p[n:]
		}
		if len(p) == 0 {
			c.waiting = slices.Delete(c.waiting, 0, 1)
			continue
		}
		c.waiting[0] = p
		if err == syscall.EAGAIN {
			return nil
		}
		if err != nil && err != syscall.EINTR {
			return err
		}
	}
	return nil
}
