package http1

import (
	"bytes"
)

// preface begins every HTTP/2 connection of a client (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func beginsPreface(b []byte) bool {
	n := min(len(b), len(preface))
	return str(b[:n]) == preface[:n]
}

// succeed lets a session of HTTP/2 take the connection over, and serves that.
func (c *serverConn) succeed() {
	early := bytes.Clone(c.in[c.r:c.w])
	c.r = c.w
	c.mu.Lock()
	c.clearWake()
	c.mu.Unlock()
	session := c.options.HTTP2(c.conn, early, c.info)
	c.successor.Store(&session)
	c.leave = leaveGone
	session.Serve()
}
