package http2

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// maxQueued is how many bytes may be queued before bodies wait. maxControl bounds what an
	// endpoint can make us queue that reads none of it.
	maxQueued  = outHigh
	maxControl = 256 << 10
	// maxRounds is how often one stream writes what others have queued meanwhile, before
	// another goroutine takes that over.
	maxRounds = 4
)

// outQueue is what a connection has to send. The connection's mu guards it.
type outQueue struct {
	out []byte
	// writing: a goroutine is at it, since so long.
	writing bool
	since   int64
	// blocked are the streams that wait for the connection's window, or for room here, first
	// come, first served.
	blocked []*ConnStream
}

// room returns what is queued, with room for n more bytes.
func (q *outQueue) room(n int) []byte {
	if q.out == nil {
		q.out = getBuffer(n)[:0]
	}
	q.out = grow(q.out, n)
	return q.out
}

// drop forgets what was not sent.
func (q *outQueue) drop() {
	putBuffer(q.out)
	q.out = nil
}

// send writes what is queued, unless another goroutine is writing, which will. The caller
// holds mu, which it releases.
func (c *Conn) send() {
	if !c.queue.writing && len(c.queue.out) > 0 && !c.closing {
		c.queue.writing, c.queue.since = true, proxy.Now()
		c.write(maxRounds)
		return
	}
	c.mu.Unlock()
}

// sendLater has another goroutine write what is queued: for the one that reads, which must
// not wait. The caller holds mu.
func (c *Conn) sendLater() {
	if !c.queue.writing && len(c.queue.out) > 0 && !c.closing {
		c.queue.writing, c.queue.since = true, proxy.Now()
		go c.carryOn()
	}
}

func (c *Conn) carryOn() {
	c.mu.Lock()
	c.write(-1)
}

// write writes what is queued, until nothing is, or so many times. The caller holds mu, which
// it releases, and has said that it writes.
func (c *Conn) write(rounds int) {
	for ; len(c.queue.out) > 0 && !c.closing; rounds-- {
		if rounds == 0 {
			go c.carryOn()
			c.mu.Unlock()
			return
		}
		out := c.queue.out
		c.queue.out = nil
		c.mu.Unlock()
		err := c.sock.Write(out)
		putBuffer(out)
		if err != nil {
			c.unwritable()
		}
		c.mu.Lock()
		c.queue.since = proxy.Now()
		c.wakeBlocked()
	}
	c.queue.writing = false
	if c.closing || c.leaving {
		c.quiet.Broadcast()
	}
	c.mu.Unlock()
}

// unwritableTime is how long an endpoint that takes nothing more has to say why.
const unwritableTime = time.Second

// unwritable ends a connection to which nothing can be written any more. It is read for a
// moment longer: what has come already is of use.
func (c *Conn) unwritable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.refusing = true
	c.sock.StopWrites()
	c.conn.SetReadDeadline(time.Now().Add(unwritableTime))
}

// spare returns how many bytes of bodies may be queued now.
func (c *Conn) spare() int { return min(int(min(c.window, maxQueued)), maxQueued-len(c.queue.out)) }

// wakeBlocked wakes the stream that has waited longest for what the connection has to spare.
// It wakes the next one when it has had its turn. The caller holds mu.
func (c *Conn) wakeBlocked() {
	for len(c.queue.blocked) > 0 && c.spare() > 0 {
		s := c.queue.blocked[0]
		c.queue.blocked = append(c.queue.blocked[:0], c.queue.blocked[1:]...)
		if s.blocked {
			s.blocked = false
			s.wakeSender()
			return
		}
	}
}

// sendBody sends a piece of the request's body, and waits until flow control and the
// connection let it; end ends the body. It returns false when the endpoint is not to be sent
// any more.
func (s *ConnStream) sendBody(p []byte, end bool) bool {
	c := s.c
	for {
		c.mu.Lock()
		for !s.stopped {
			n := max(min(len(p), c.spare(), int(min(s.window, maxFrameSize)), c.settings.maxFrame), 0)
			if n == 0 && len(p) > 0 {
				break
			}
			s.queueData(p[:n], end && n == len(p))
			if p = p[n:]; len(p) == 0 {
				break
			}
		}
		stopped, waits := s.stopped, false
		if !stopped && len(p) > 0 {
			// What the queue has no room for waits only while somebody else empties it.
			shared := c.window <= 0 || c.queue.writing
			waits = s.window <= 0 || shared
			if s.window > 0 && shared && !s.blocked {
				s.blocked = true
				c.queue.blocked = append(c.queue.blocked, s)
			}
		} else if s.blocked {
			// Its turn would be lost: it has no use for one any more.
			c.unblock(s)
		}
		c.wakeBlocked()
		c.send()
		switch {
		case stopped:
			return false
		case len(p) == 0:
			return true
		case waits:
			<-s.sendWake
		}
	}
}

// queueData queues a DATA frame that the windows have room for. The caller holds the
// connection's mu.
func (s *ConnStream) queueData(p []byte, end bool) {
	c := s.c
	var flags uint8
	if end {
		flags = flagEndStream
		s.sentEnd = true
	}
	out := appendFrameHeader(c.queue.room(frameHeaderLen+len(p)), len(p), frameData, flags, s.id)
	c.queue.out = append(out, p...)
	s.window -= sendWindow(len(p))
	c.window -= sendWindow(len(p))
}

// queueReset queues a RST_STREAM. The caller holds mu.
func (c *Conn) queueReset(id uint32, code errCode) {
	c.queue.out = appendReset(c.queue.room(frameHeaderLen+4), id, code)
}
