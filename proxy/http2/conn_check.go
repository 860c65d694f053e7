package http2

import (
	"cmp"
	"errors"
	"io"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// maxWriting bounds a write: an endpoint that takes nothing for so long is given up.
	maxWriting = 10 * time.Second
	// maxStuck is that bound when somebody wants to leave.
	maxStuck = time.Second
	// overlooked is how long nothing has come when the end is looked for that no edge told of.
	overlooked = 500 * time.Millisecond
	// defaultKeepalive bounds the wait for the answer to a PING.
	defaultKeepalive = 20 * time.Second
)

var errLate = errors.New("http2: no response within the time for it")

// unstick ends a connection whose endpoint has taken nothing for a while. Where that may yet
// become so, it returns how soon, else 0. It must not wait.
func (c *Conn) unstick() (again time.Duration) {
	c.mu.Lock()
	writing := c.queue.writing && !c.closing
	stuck := time.Duration(proxy.Now() - c.queue.since)
	c.mu.Unlock()
	switch {
	case !writing:
		return 0
	case stuck <= maxStuck:
		return maxStuck - stuck + time.Millisecond
	}
	c.kill(errUnwritten)
	return 0
}

// Check looks for an endpoint that does not read, does not answer, or has gone, given the time of
// proxy.Now. Where nothing has come for interval, if that is not 0, it is sent a PING, to be
// answered within timeout (0 means 20 s). Check is to be called about once a second.
func (c *Conn) Check(now int64, interval, timeout time.Duration) {
	timeout = cmp.Or(timeout, defaultKeepalive)
	c.mu.Lock()
	var why error
	switch {
	case c.closing:
	case c.queue.writing && now-c.queue.since > int64(maxWriting):
		why = errUnwritten
	case c.pingSent != 0 && now-c.pingSent >= int64(timeout):
		why = errKeepalive
	case now-c.heard.Load() >= int64(overlooked) && c.sock.Gone():
		why = io.ErrUnexpectedEOF
	case interval > 0 && c.pingSent == 0 && now-c.heard.Load() >= int64(interval):
		c.pingSent = now
		c.queue.out = appendPing(c.queue.room(32), false, [8]byte{'s', 'l', 'u', 'i', 'c', 'e'})
		c.sendLater()
	}
	c.mu.Unlock()
	if why != nil {
		c.kill(why)
	}
}
