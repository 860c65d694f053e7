package socket

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reader reads from a connection that others may close meanwhile, unlike a [Socket]. A read
// that need not wait is one plain system call, of which the scheduler is not told: it would
// wake a thread that looks after calls that take long. It is for one goroutine at a time.
type Reader struct {
	conn net.Conn
	raw  syscall.RawConn // nil where the bytes of conn are not those of a socket
	into []byte
	n    int
	err  error
	fn   func(fd uintptr) bool
}

// NewReader returns a Reader of a connection.
func NewReader(conn net.Conn) *Reader {
	r := &Reader{conn: conn, raw: Plain(conn)}
	r.fn = r.step
	return r
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	if r.raw == nil || len(p) == 0 {
		return r.conn.Read(p)
	}
	r.into, r.n, r.err = p, 0, nil
	err = r.raw.Read(r.fn)
	if err == nil {
		err = r.err
	}
	r.into = nil
	return r.n, err
}

// step reads what is there, and tells false where there is nothing yet.
func (r *Reader) step(fd uintptr) bool {
	n, again, err := readNow(int(fd), r.into)
	if again {
		return false
	}
	r.n, r.err = n, err
	return true
}

// Writer writes to a connection that others may close meanwhile, as a [Reader] reads from it.
type Writer struct {
	conn net.Conn
	raw  syscall.RawConn // nil where the bytes of conn are not those of a socket
	left []byte
	err  error
	fn   func(fd uintptr) bool
}

// NewWriter returns a Writer of a connection.
func NewWriter(conn net.Conn) *Writer {
	w := &Writer{conn: conn, raw: Plain(conn)}
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
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.left))), uintptr(len(w.left)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
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

var (
	_ io.Reader = (*Reader)(nil)
	_ io.Writer = (*Writer)(nil)
)
