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

// noHTTP tells whether a first line of three words is of no version of HTTP: where HTTP/2 is
// served too, an invalid preface, which ends the connection (RFC 9113 section 3.4).
func noHTTP(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	words := bytes.Split(line, []byte(" "))
	return len(words) == 3 && !(len(words[2]) > 5 && bytes.EqualFold(words[2][:5], []byte("HTTP/")))
}

// succeed lets a session of HTTP/2 take the connection over, and serves that.
func (c *serverConn) succeed() {
	early := bytes.Clone(c.in[c.r:c.w])
	c.r = c.w
	c.mu.Lock()
	c.phase = phaseTunnel // Nobody is to interrupt it any more.
	c.clearWake()
	c.mu.Unlock()
	session := c.options.HTTP2(c.conn, early, c.info)
	c.successor.Store(&session)
	c.mu.Lock()
	killed := c.lost
	c.mu.Unlock()
	if killed {
		session.Kill() // Whoever has killed this one knew of no other.
	}
	c.leave = leaveGone
	session.Serve()
}
