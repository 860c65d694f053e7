package generate

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tooMany failures end a round early.
const tooMany = 10_000

// loop offers a load from one thread: it waits for the next request that is due and for
// whatever arrives, both with one system call.
type loop struct {
	Load
	atRate   bool
	addr     unix.Sockaddr
	tls      *tls.Config
	epoll    int
	newCodec func() codec
	conns    []*conn
	lanes    []*lane
	// room is what everything is read into.
	room []byte

	// start is when the first request is due. turn counts the requests that came due, of
	// total.
	start       time.Time
	turn, total int
	// inFlight are requests that are sent, over those that were answered or failed.
	inFlight, over int
	// idle are lanes that have just become so, unsent the connections with something to
	// write.
	idle, idleNext []*lane
	unsent         []*conn
	result         Result
	// lag is how late requests were sent, in sum, of which prompt could have been in time.
	lag    time.Duration
	prompt int
}

// lane sends one request after the other: it is a connection, or a stream of one.
type lane struct {
	conn *conn
	// slot is its number on the connection.
	slot int
	// next is the number of its next request; at a fixed rate, request n is due at n/Rate.
	next int
	// due is when the request under way was due.
	due  time.Duration
	busy bool
}

// run offers the load and waits for the answers.
func (p *loop) run(ctx context.Context) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may wake an ordinary thread 50 µs late, to save wake-ups.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if p.Ready != nil {
		p.Ready()
	}
	p.start = time.Now()
	if !p.atRate {
		p.idle = append(p.idle, p.lanes...)
	}
	events := make([]unix.EpollEvent, 256)
	for p.result.Failed < tooMany {
		now := time.Since(p.start)
		p.dispatch(now)
		p.flush()
		if p.ended(now) {
			break
		}
		if err := p.serve(events, p.patience(now)); err != nil {
			return p.result, err
		}
		if ctx.Err() != nil {
			return p.result, ctx.Err()
		}
	}
	p.result.Elapsed = time.Since(p.start)
	p.result.Lag = p.lag / time.Duration(max(p.prompt, 1))
	p.giveUp()
	err := p.finish(events)
	return p.result, err
}

// due is when request n is, at a fixed rate.
func (p *loop) due(n int) time.Duration {
	return time.Duration(float64(n) * 1e9 / float64(p.Rate))
}

// dispatch sends what is due.
func (p *loop) dispatch(now time.Duration) {
	p.idle, p.idleNext = p.idleNext[:0], p.idle
	for _, l := range p.idleNext {
		p.next(l, now)
	}
	for p.atRate && p.turn < p.total && p.due(p.turn) <= now {
		// A busy lane sends it when it is done.
		if l := p.lanes[p.turn%len(p.lanes)]; l.next == p.turn && !l.busy {
			p.lag += now - p.due(p.turn)
			p.prompt++
			p.next(l, now)
		}
		p.turn++
	}
}

// next sends the next request of a lane that is idle, if one is due.
func (p *loop) next(l *lane, now time.Duration) {
	due := now
	if p.atRate {
		if due = p.due(l.next); due > now || l.next >= p.total {
			return
		}
	} else if now >= p.Duration {
		return
	}
	if l.busy {
		return
	}
	l.busy, l.due = true, due
	l.next += len(p.lanes)
	p.inFlight++
	l.conn.send(l)
}

// done is called with what became of a lane's request.
func (p *loop) done(l *lane, problem string) {
	if !l.busy {
		return // it was given up before
	}
	l.busy = false
	p.inFlight--
	p.over++
	p.idle = append(p.idle, l)
	if problem != "" {
		p.failed(1, problem)
		return
	}
	p.result.Requests++
	p.result.Latency.Add(time.Since(p.start) - l.due)
}

func (p *loop) failed(n int, problem string) {
	p.result.Failed += n
	if p.result.Problem == "" {
		p.result.Problem = problem
	}
}

// flush writes what was appended to the connections in this turn.
func (p *loop) flush() {
	for i := 0; i < len(p.unsent); i++ { // it may grow
		c := p.unsent[i]
		if err := c.flush(); err != nil {
			c.fail("writing: " + err.Error())
		}
	}
	p.unsent = p.unsent[:0]
}

// ended tells whether everything is answered, or no longer waited for.
func (p *loop) ended(now time.Duration) bool {
	switch {
	case now > p.Duration+p.drain:
		return true
	case p.atRate:
		return p.over >= p.total
	}
	return now >= p.Duration && p.inFlight == 0
}

// patience is how long to wait for events.
func (p *loop) patience(now time.Duration) time.Duration {
	wait := 100 * time.Millisecond // to notice that the context has ended
	if p.atRate && p.turn < p.total {
		wait = min(wait, p.due(p.turn)-now)
	} else if !p.atRate && now < p.Duration {
		wait = min(wait, p.Duration-now)
	}
	if len(p.idle) > 0 {
		wait = 0
	}
	return max(wait, 0)
}

// serve waits for events, and handles them.
func (p *loop) serve(events []unix.EpollEvent, wait time.Duration) error {
	timeout := unix.NsecToTimespec(int64(wait))
	// A short wait is not worth telling the runtime of, which would look for other work and
	// wake a thread to watch.
	call := unix.Syscall6
	if wait < time.Millisecond {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch errno {
	case 0:
	case unix.EINTR:
		return nil
	case unix.ENOSYS:
		return fmt.Errorf("epoll_pwait2: %w: the load test needs Linux 5.11", errno)
	default:
		return os.NewSyscallError("epoll_pwait2", errno)
	}
	for _, e := range events[:n] {
		// An event may be of the connection that was here before.
		if c := p.conns[e.Fd]; c.socket != nil && c.age == e.Pad {
			c.ready(e.Events)
			c.queue()
		}
	}
	return nil
}

// giveUp counts what was not answered, or not even sent, as failed.
func (p *loop) giveUp() {
	unanswered := p.inFlight
	if p.atRate && p.result.Failed < tooMany {
		unanswered = p.total - p.over
	}
	if unanswered > 0 {
		p.failed(unanswered, fmt.Sprintf("not answered within %s", p.drain))
	}
	for _, l := range p.lanes {
		l.busy = false
	}
	p.inFlight = 0
}

// finish ends what has an end of its own, and checks it.
func (p *loop) finish(events []unix.EpollEvent) error {
	waiting := func() bool {
		return slices.ContainsFunc(p.conns, func(c *conn) bool { return c.socket != nil && c.codec.finish(c) })
	}
	for deadline := time.Now().Add(patience); waiting(); {
		for _, c := range p.conns {
			c.queue()
		}
		p.flush()
		if time.Now().After(deadline) {
			p.failed(1, fmt.Sprintf("a stream was not ended within %s", patience))
			return nil
		}
		if err := p.serve(events, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
