package http1

import (
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// send writes the request: its head and, where it has arrived whole, its body, in one
// system call. Another body is left to a pump.
func (c *Conn) send() error {
	ex := c.ex
	out := c.appendRequestHead(headBuffer(ex.Room, ex.Request.Headers, len(ex.UpstreamPath)+len(ex.UpstreamAuthority)+len(ex.Request.Method)))
	var err error
	switch {
	case !ex.Buffered && ex.Body.Kind != proxy.BodyNone:
		if err = c.sock.Write(out); err == nil {
			c.pump = startPump(c)
		}
	case len(ex.Payload) == 0 && ex.Body.Kind != proxy.BodyStream:
		err = c.sock.Write(out)
	case ex.Body.Kind == proxy.BodyStream:
		err = c.sendChunked(out)
	case len(out)+len(ex.Payload) <= cap(out):
		out = append(out, ex.Payload...)
		err = c.sock.Write(out)
	default:
		err = c.sock.Writev(out, ex.Payload, nil)
	}
	putHead(out, ex.Room)
	return err
}

// sendChunked writes a head and a whole body in the chunked coding, as one chunk.
func (c *Conn) sendChunked(out []byte) error {
	if len(c.ex.Payload) > 0 {
		out = appendChunkHead(out, len(c.ex.Payload))
		out = append(out, c.ex.Payload...)
		out = append(out, '\r', '\n')
	}
	return c.sock.Write(appendLastChunk(out, c.down.Trailers()))
}

// appendRequestHead appends the head that the upstream gets.
func (c *Conn) appendRequestHead(dst []byte) []byte {
	ex := c.ex
	dst = append(dst, ex.Request.Method...)
	dst = append(dst, ' ')
	dst = append(dst, ex.UpstreamPath...)
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, ex.UpstreamAuthority...)
	dst = append(dst, '\r', '\n')
	dst = appendFields(dst, ex.Request.Headers)
	switch ex.Body.Kind {
	case proxy.BodyLength:
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, ex.Body.Length, 10)
		dst = append(dst, '\r', '\n')
	case proxy.BodyStream:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	if ex.Expect100 {
		dst = append(dst, "expect: 100-continue\r\n"...)
	}
	switch {
	case ex.Request.Upgrade != "":
		dst = append(dst, "connection: upgrade\r\nupgrade: "...)
		dst = append(dst, ex.Request.Upgrade...)
		dst = append(dst, '\r', '\n')
	case ex.WantsTrailers:
		dst = append(dst, "connection: te\r\nte: trailers\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// bodyPump sends a request's body while the Conn waits for the response, since a server
// may answer before it has read everything.
type bodyPump struct {
	done chan struct{}
	// downErr is the client's fault, upErr the upstream's; both nil once all was sent.
	downErr, upErr error
	finished       bool
	// whole tells that the client has sent all of it.
	whole atomic.Bool
}

// endingPatience is how long a pump gets that has only its last write to end, before its
// connection is closed instead.
const endingPatience = 50 * time.Millisecond

func startPump(c *Conn) *bodyPump {
	p := &bodyPump{done: make(chan struct{})}
	go p.run(c, c.down, c.ex.Body)
	return p
}

// chunkRoom is what is left free before and behind the data in the pump's buffer, for the
// chunk's size line and end.
const chunkRoom = 16

func (p *bodyPump) run(c *Conn, down proxy.Downstream, body proxy.Body) {
	defer close(p.done)
	buf := getLarge()
	defer putBuffer(buf)
	read := int64(0)
	for {
		n, err := down.ReadBody(buf[chunkRoom : len(buf)-chunkRoom])
		if read += int64(n); err == io.EOF || body.Kind == proxy.BodyLength && read == body.Length {
			p.whole.Store(true)
		}
		if n > 0 {
			if p.upErr = p.write(c, buf, n, body.Kind); p.upErr != nil {
				return
			}
		}
		switch {
		case err == io.EOF:
			if body.Kind == proxy.BodyStream {
				_, p.upErr = c.conn.Write(appendLastChunk(buf[:0], down.Trailers()))
			}
			p.finished = p.upErr == nil
			return
		case err != nil:
			// The upstream must not take what it got for a whole body.
			p.downErr = err
			c.aborter.Abort()
			return
		}
	}
}

// write sends n bytes that stand behind chunkRoom in buf, as a chunk if the body wants it.
func (p *bodyPump) write(c *Conn, buf []byte, n int, kind proxy.BodyKind) error {
	from, to := chunkRoom, chunkRoom+n
	if kind == proxy.BodyStream {
		var line [chunkRoom]byte
		size := appendChunkHead(line[:0], n)
		from -= len(size)
		copy(buf[from:], size)
		buf[to], buf[to+1] = '\r', '\n'
		to += 2
	}
	_, err := c.conn.Write(buf[from:to])
	return err
}

// endPump stops the pump after the exchange. A connection whose request was not sent
// whole is not used again.
func (c *Conn) endPump() {
	p := c.pump
	c.pump = nil
	stopped := !p.ends()
	if stopped {
		c.aborter.Abort()
		c.down.CloseBody()
		<-p.done
	}
	if !p.finished {
		c.res.Reusable = false
	}
	// A pump that was stopped has an error of that alone, unless it was just ending with a
	// body that is bad.
	var fault *ProtocolError
	if p.downErr != nil && !c.res.Responded && (!stopped || errors.As(p.downErr, &fault)) {
		c.res.Failure, c.res.BodyError = proxy.FailDownstream, p.downErr
	}
}

// ends tells whether the pump has ended, or does so soon by itself: the upstream's answer may
// come before the pump's last write has returned.
func (p *bodyPump) ends() bool {
	select {
	case <-p.done:
		return true
	default:
	}
	if !p.whole.Load() {
		return false
	}
	patience := time.NewTimer(endingPatience)
	defer patience.Stop()
	select {
	case <-p.done:
		return true
	case <-patience.C:
		return false
	}
}

// responseTrailers returns the trailers to relay at the end of a chunked response.
func (c *Conn) responseTrailers(end bool) ([]router.Header, *ProtocolError) {
	if !end || c.mode != bodyChunked || len(c.chunks.trailers) <= 2 {
		return nil, nil
	}
	trailers, perr := c.chunks.fields(&c.limits)
	if perr != nil || !c.ex.WantsTrailers {
		return nil, perr
	}
	return trailers, nil
}
