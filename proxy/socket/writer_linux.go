package socket

import (
	"net"
	"os"
	"syscall"
	"unsafe"
)

// Writer writes to a connection that others may close meanwhile, unlike a [Socket]. A write
// that need not wait is one plain system call. It is for one goroutine at a time.
type Writer struct {
	conn net.Conn
	raw  syscall.RawConn // nil where the bytes of conn are not those of a socket
	left []byte
	err  error
	fn   func(fd uintptr) bool
}

// NewWriter returns a Writer of a connection.
func NewWriter(conn net.Conn) *Writer {
	w := &Writer{conn: conn}
	if tcp, ok := conn.(*net.TCPConn); ok {
		w.raw, _ = tcp.SyscallConn()
	}
	w.fn = w.step
	return w
}

// Write writes all of p, waiting where the peer is slow.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.raw == nil {
		return w.conn.Write(p)
	}
	w.left, w.err = p, nil
	err = w.raw.Write(w.fn)
	if err == nil {
		err = w.err
	}
	n, w.left = len(p)-len(w.left), nil
	return n, err
}

// step writes what is left, and tells false while the peer takes no more.
func (w *Writer) step(fd uintptr) bool {
	for len(w.left) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.left))), uintptr(len(w.left)))
		switch errno {
		case 0:
			w.left = w.left[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			w.err = os.NewSyscallError("write", errno)
			return true
		}
	}
	return true
}
