package generate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicegate/sluice/loadtest/work"
)

// http1 is HTTP/1.1 as a client speaks it, one request at a time.
type http1 struct {
	plain
	requests *request
	// want is the length of a body, -1 for any; once closes the connection after an answer.
	want int
	once bool

	lane   *lane
	state  state
	status int
	// length is what has come of the body, rest what is to come of it, or of the chunk.
	length, rest int
	// last says that the peer closes after this answer.
	last bool
}

// state is what of an answer comes next.
type state uint8

const (
	inHead     state = iota
	inBody           // of Content-Length
	inChunk          // and the line end after it
	atChunk          // the line with the size of a chunk
	inTrailers       // until an empty line
	untilClose
)

// request writes requests; all connections have one between them.
type request struct {
	choose *chooser
	method string
	rest   []byte
	whole  []byte // where all are alike
}

func newRequest(l Load, choose *chooser) *request {
	r := &request{choose: choose, method: "GET "}
	r.rest = append(r.rest, "\r\nUser-Agent: loadtest\r\nAccept: */*\r\n"...)
	if l.Protocol == work.HTTP1Close {
		r.rest = append(r.rest, "Connection: close\r\n"...)
	}
	if l.Upload > 0 {
		r.method = "POST "
		r.rest = fmt.Appendf(r.rest, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", l.Upload)
	}
	r.rest = append(r.rest, "\r\n"...)
	r.rest = append(r.rest, bytes.Repeat([]byte("x"), l.Upload)...)
	if choose.one() {
		r.whole = r.assemble(nil)
	}
	return r
}

// append writes the next request.
func (r *request) append(b []byte) []byte {
	if r.whole != nil {
		return append(b, r.whole...)
	}
	return r.assemble(b)
}

func (r *request) assemble(b []byte) []byte {
	host, path := r.choose.next()
	b = append(b, r.method...)
	b = r.choose.path.append(b, path)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = r.choose.host.append(b, host)
	return append(b, r.rest...)
}

func (h *http1) request(c *conn, l *lane) {
	h.lane = l
	c.out = h.requests.append(c.out)
}

func (h *http1) read(c *conn, p []byte) (used int, err error) {
	for used < len(p) && c.socket != nil {
		n, err := h.step(c, p[used:])
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

// step uses what there is of one part of an answer; 0 wants more.
func (h *http1) step(c *conn, p []byte) (int, error) {
	switch h.state {
	case inHead:
		return h.head(c, p)
	case inBody:
		n := min(h.rest, len(p))
		h.skipped(c, n)
		return n, nil
	case untilClose:
		h.length += len(p)
		return len(p), nil
	case inChunk:
		n := min(h.rest, len(p))
		if h.rest -= n; h.rest == 0 {
			h.state = atChunk
		}
		return n, nil
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return 0, nil
	}
	line := bytes.TrimSuffix(p[:end], []byte("\r"))
	if h.state == inTrailers {
		if len(line) == 0 {
			h.complete(c)
		}
		return end + 1, nil
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 31)
	if err != nil {
		return 0, fmt.Errorf("a chunk begins with %q", line)
	}
	h.length += int(size)
	h.state, h.rest = inChunk, int(size)+len("\r\n")
	if size == 0 {
		h.state = inTrailers
	}
	return end + 1, nil
}

// head reads the head of an answer, if it is there as a whole.
func (h *http1) head(c *conn, p []byte) (int, error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(p) > 64<<10:
		return 0, errors.New("the head of the answer does not end")
	case end < 0:
		return 0, nil
	case h.lane == nil || !h.lane.busy:
		return 0, errors.New("an answer came without a request")
	}
	head := p[:end+2]
	if len(head) < len("HTTP/1.1 200") || !bytes.HasPrefix(head, []byte("HTTP/1.")) {
		return 0, fmt.Errorf("the answer begins with %.20q", head)
	}
	h.status, h.length, h.rest, h.last, h.state = 0, 0, 0, h.once, untilClose
	for _, digit := range head[9:12] {
		h.status = h.status*10 + int(digit-'0')
	}
	if h.status < 200 {
		h.state = inHead
		return end + 4, nil
	}
	if err := h.fields(head[bytes.IndexByte(head, '\n')+1:]); err != nil {
		return 0, err
	}
	if h.status == 204 || h.status == 304 {
		h.state, h.rest = inBody, 0
	}
	if h.state == inBody && h.rest == 0 {
		h.complete(c)
	}
	return end + 4, nil
}

// fields looks for those that say where the body ends (RFC 9112 section 6.3).
func (h *http1) fields(lines []byte) error {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		name, value, _ := bytes.Cut(lines[:end], []byte(":"))
		lines = lines[end+1:]
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return fmt.Errorf("Content-Length is %q", value)
			}
			if h.state == untilClose {
				h.state, h.rest = inBody, int(n)
			}
		case len(name) == len("transfer-encoding") && bytes.EqualFold(name, []byte("transfer-encoding")):
			h.state = atChunk
		case len(name) == len("connection") && bytes.EqualFold(name, []byte("connection")):
			h.last = h.last || bytes.EqualFold(value, []byte("close"))
		}
	}
	return nil
}

func (h *http1) skip() int {
	if h.state == inBody {
		return h.rest
	}
	return 0
}

func (h *http1) skipped(c *conn, n int) {
	h.length += n
	if h.rest -= n; h.rest == 0 {
		h.complete(c)
	}
}

func (h *http1) eof(c *conn) {
	if h.state == untilClose {
		h.complete(c)
	}
}

// complete checks an answer.
func (h *http1) complete(c *conn) {
	h.state = inHead
	if h.last {
		c.close()
	}
	c.loop.done(h.lane, wrong(h.status, h.length, h.want))
}

// wrong says what is wrong with an answer; nothing where all is right.
func wrong(status, length, want int) string {
	switch {
	case status != 200:
		return fmt.Sprintf("the status is %d", status)
	case want >= 0 && length != want:
		return fmt.Sprintf("the body has %d bytes, not %d", length, want)
	}
	return ""
}
