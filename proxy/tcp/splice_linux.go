package tcp

import (
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/proxy/socket"
)

const (
	// pipeSize is how much a pipe is asked to hold. A kernel that does not grant it leaves a
	// smaller one.
	pipeSize = 1 << 20
	// leastChunk is how much moves at a time to a peer that has to be waited for: a crowd
	// of slow ones shall not fill pipes.
	leastChunk = 64 << 10
)

// spliceFlags: nothing waits, and pages are moved where they can be.
const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// pipe is what the kernel moves bytes through.
type pipe struct{ r, w int }

// pipes holds those that are empty; what the collector takes is closed.
var pipes sync.Pool

func getPipe() (*pipe, error) {
	if p, ok := pipes.Get().(*pipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	p := &pipe{fds[0], fds[1]}
	unix.FcntlInt(uintptr(p.r), unix.F_SETPIPE_SZ, pipeSize)
	runtime.SetFinalizer(p, (*pipe).close)
	return p, nil
}

func (p *pipe) close() {
	runtime.SetFinalizer(p, nil)
	unix.Close(p.r)
	unix.Close(p.w)
}

// splice moves a direction's bytes from socket to socket. A pipe is held while bytes move
// only. The zero value does nothing.
type splice struct {
	d        *direction
	from, to syscall.RawConn
	toFD     int
	// broken: the kernel does not do it for these sockets, or there is no pipe to be had.
	broken bool
	// held are the bytes in the pipe while the other side is waited for. chunk is how much
	// moves at a time: the more, the quicker the peer.
	pipe  *pipe
	held  int
	chunk int
	err   error
	// move and drain are the callbacks of the poller.
	move, drain func(fd uintptr) bool
}

// prepare decides how the session's bytes move.
func (s *session) prepare() {
	a, b := socket.Plain(s.client.conn), socket.Plain(s.endpoint.conn)
	if a != nil && b != nil {
		s.up.splice.choose(&s.up, a, b)
		s.down.splice.choose(&s.down, b, a)
		return
	}
	s.client.sock = socket.New(s.client.conn, s.up.step)
	s.endpoint.sock = socket.New(s.endpoint.conn, s.down.step)
	s.up.records, s.down.records = drivenTLS(s.client.conn), drivenTLS(s.endpoint.conn)
}

// drivenTLS tells whether a connection is one of TLS that can be read without waiting.
func drivenTLS(conn net.Conn) bool {
	t, ok := conn.(*socket.TLS)
	return ok && socket.Plain(t.Beneath()) != nil
}

// choose has the bytes of d spliced.
func (p *splice) choose(d *direction, from, to syscall.RawConn) {
	*p = splice{d: d, from: from, to: to, chunk: leastChunk}
	to.Control(func(fd uintptr) { p.toFD = int(fd) })
	p.move, p.drain = p.step, p.flush
}

// chosen tells whether the session's bytes are to be spliced, usable whether they can be.
func (p *splice) chosen() bool { return p.d != nil }
func (p *splice) usable() bool { return p.d != nil && !p.broken }

// run moves bytes until the source ends, or something fails. Its error is the poller's.
func (p *splice) run() error { return p.from.Read(p.move) }

// giveUp lets the bytes go through a buffer from now on.
func (p *splice) giveUp() {
	p.broken = true
	p.d.from.sock = socket.New(p.d.from.conn, p.d.step)
}

// spliceNow moves up to n bytes, and does not wait: so the scheduler, which would have a thread
// look after a call that does, needs not know of it.
func spliceNow(from, to, n int) (moved int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), spliceFlags)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// step moves what there is.
func (p *splice) step(fd uintptr) bool {
	d := p.d
	for !d.session.over.Load() {
		if p.pipe == nil {
			var err error
			if p.pipe, err = getPipe(); err != nil {
				p.giveUp()
				return true
			}
		}
		n, err := spliceNow(int(fd), p.pipe.w, p.chunk)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			p.release()
			return false
		case err == unix.EINVAL || err == unix.ENOSYS:
			p.release()
			p.giveUp()
			return true
		case err != nil:
			p.release()
			d.fail(d.from)
			return true
		case n == 0:
			p.release()
			d.ended = true
			return true
		default:
			d.count(n)
			p.held = n
			if err := p.pour(); err != nil {
				p.pipe.close()
				p.pipe = nil
				d.fail(d.to)
				return true
			}
		}
	}
	p.release()
	return true
}

// release gives back the pipe, which is empty, if there is one.
func (p *splice) release() {
	if p.pipe != nil {
		pipes.Put(p.pipe)
		p.pipe = nil
	}
}

// pour writes what the pipe holds, waiting where the peer is slow.
func (p *splice) pour() error {
	if p.flush(uintptr(p.toFD)) {
		p.chunk = min(2*p.chunk, pipeSize)
		return p.err
	}
	p.chunk = max(p.chunk/2, leastChunk)
	if err := p.to.Write(p.drain); err != nil {
		return err
	}
	return p.err
}

// flush writes what the pipe holds, and tells false while the peer takes no more.
func (p *splice) flush(fd uintptr) bool {
	p.err = nil
	for p.held > 0 {
		n, err := spliceNow(p.pipe.r, int(fd), p.held)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if p.d.session.over.Load() {
				p.err = os.ErrDeadlineExceeded
				return true
			}
			return false
		case err != nil:
			p.err = os.NewSyscallError("splice", err)
			return true
		default:
			p.held -= n
			p.d.touch()
		}
	}
	return true
}
