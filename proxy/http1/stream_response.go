package http1

import (
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Interim implements proxy.Downstream. HTTP/1.0 knows no 1xx.
func (st *stream) Interim(r *proxy.Response) error {
	if st.head.http10 || st.responded {
		return nil
	}
	if r.Status == 100 {
		st.ex.Expect100 = false
	}
	out := appendStatusLine(headBuffer(st.ex.Room, r.Headers, len(r.Reason)), r)
	out = appendFields(out, r.Headers)
	out = append(out, '\r', '\n')
	st.ex.HeadSent += int64(len(out))
	err := st.c.sock.Write(out)
	putHead(out, st.ex.Room)
	return err
}

// Respond implements proxy.Downstream.
func (st *stream) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	st.responded = true
	ex.Status = r.Status
	out := appendStatusLine(headBuffer(ex.Room, r.Headers, len(r.Reason)), r)
	out = appendFields(out, r.Headers)
	out = st.appendFraming(out, r)
	if st.bodyless {
		body = nil
	}
	ex.HeadSent += int64(len(out))
	ex.BytesSent += int64(len(body))
	err := st.write(out, body, nil, end)
	putHead(out, ex.Room)
	if err == nil && (!end || r.Status == 101) {
		ex.ResponseFlushed = proxy.Now()
	}
	return err
}

// appendStatusLine appends the first line of a response.
func appendStatusLine(dst []byte, r *proxy.Response) []byte {
	if r.Status == 200 && (r.Reason == "" || r.Reason == "OK") {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	if r.Reason != "" {
		dst = append(dst, r.Reason...)
	} else {
		dst = append(dst, http.StatusText(r.Status)...)
	}
	return append(dst, '\r', '\n')
}

// appendFraming appends the fields that frame the response's body, the connection's
// options, and the head's end.
func (st *stream) appendFraming(dst []byte, r *proxy.Response) []byte {
	st.mode, st.bodyless = bodyLength, false
	switch {
	case r.Status == 101:
		dst = append(dst, "connection: upgrade\r\nupgrade: "...)
		dst = append(dst, r.Upgrade...)
		return append(dst, "\r\n\r\n"...)
	case st.head.method == "HEAD" || r.Status == 204 || r.Status == 304:
		st.bodyless = true
		if r.DeclaredLength >= 0 && r.Status != 204 {
			dst = appendLengthField(dst, r.DeclaredLength)
		}
	case r.Body.Kind == proxy.BodyLength:
		dst = appendLengthField(dst, r.Body.Length)
	case r.Body.Kind == proxy.BodyNone:
		dst = append(dst, "content-length: 0\r\n"...)
	case st.head.http10:
		st.mode = bodyUntilClose
	default:
		st.mode = bodyChunked
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	st.decideClose()
	switch {
	case st.closeAfter:
		dst = append(dst, "connection: close\r\n"...)
	case st.head.http10:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// decideClose settles, before the head is sent, whether the connection ends with this
// response.
func (st *stream) decideClose() {
	h := &st.head
	// A client that still waits for 100 (Continue) may now send its body, or not.
	unread := !st.bodyDone.Load() && (st.reading.Load() || h.chunked || st.rest > maxDrain || st.ex.Expect100)
	// What stands behind a refused Upgrade may be meant for the other protocol.
	refused := h.upgrade != ""
	if st.stopped && !st.bodyDone.Load() {
		unread = true
	}
	if pressure := st.c.options.Pressure; pressure != nil && pressure() >= proxy.PressureHigh {
		st.closeAfter = true
	}
	if h.closes || h.http10 && !h.keeps || st.mode == bodyUntilClose || unread || refused || st.c.draining.Load() {
		st.closeAfter = true
	}
}

func appendLengthField(dst []byte, n int64) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

// write sends what is in out, then body and what ends it, in the response's framing. What
// fits into out's room goes with it in one piece, other bodies are not copied.
func (st *stream) write(out, body []byte, trailers []router.Header, end bool) error {
	tail := st.tail[:0]
	if st.mode == bodyChunked {
		if len(body) > 0 {
			out = appendChunkHead(out, len(body))
			tail = append(tail, '\r', '\n')
		}
		if end {
			from := len(tail)
			tail = appendLastChunk(tail, trailers)
			st.ex.HeadSent += int64(len(tail) - from - len("0\r\n"))
		}
	}
	st.tail, st.finished = tail, end
	switch {
	case len(out)+len(body)+len(tail) <= cap(out):
		out = append(out, body...)
		out = append(out, tail...)
		if len(out) == 0 {
			return nil
		}
		return st.c.sock.Write(out)
	default:
		return st.c.sock.Writev(out, body, tail)
	}
}

// WriteBody implements proxy.Downstream.
func (st *stream) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if st.bodyless {
		st.finished = end
		return nil
	}
	st.ex.BytesSent += int64(len(p))
	var err error
	if st.mode == bodyChunked || len(p) == 0 {
		out := getSmall()[:0]
		err = st.write(out, p, trailers, end)
		putBuffer(out)
	} else {
		st.finished = end
		err = st.c.sock.Write(p)
	}
	st.c.touch()
	return err
}

// Splice implements proxy.Downstream.
func (st *stream) Splice(from net.Conn, n int64) (written int64, ok bool, err error) {
	to, ok := st.c.conn.(io.ReaderFrom) // a socket: TLS is none
	if !ok || st.mode != bodyLength || st.bodyless {
		return 0, false, nil
	}
	written, err = to.ReadFrom(&io.LimitedReader{R: from, N: n})
	st.ex.BytesSent += written
	st.finished = err == nil && written == n
	return written, true, err
}

// Cut implements proxy.Downstream: the connection closes without the response's end, which
// tells the client that it has not got all.
func (st *stream) Cut() {
	st.finished = false
	if tcp, ok := st.c.conn.(interface{ SetLinger(sec int) error }); ok && st.mode == bodyUntilClose {
		// A close would look like the end of this body; a reset does not.
		tcp.SetLinger(0)
	}
}
