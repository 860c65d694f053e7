package http2

import (
	"errors"
	"io"
	"os"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

var (
	// errClientGone is what becomes of a body, or a response, whose client has gone.
	errClientGone = errors.New("http2: the client has closed the stream")
	errBodyLength = &http1.ProtocolError{Status: 400, Detail: "http2.body_differs_from_content_length"}
)

// maxReplay bounds what is kept of a body for another try.
const maxReplay = readBuffer

// takeData takes what came of a body, which data the flow-control windows let in. The caller
// holds mu, and is the reading goroutine.
func (c *session) takeData(st *serverStream, data []byte, end bool) *connError {
	length := st.head.length
	st.received += int64(len(data))
	st.since = c.now
	if length >= 0 && (st.received > length || end && st.received < length) {
		c.credit(len(data))
		st.bodyErr = errBodyLength
		return c.resetBad(st, codeProtocol)
	}
	switch {
	case len(data) == 0:
	case st.head.rejection != nil || st.localDone:
		// Nobody wants it.
		c.credit(len(data))
	default:
		st.keepData(data)
		if st.bodySince == 0 && length > 0 {
			st.bodySince = c.now
		}
	}
	if end {
		st.remoteDone, st.bodySince = true, 0
		if st.phase == streamFresh || st.phase == streamWaiting {
			c.settleBody(st, false)
			return nil
		}
		if st.phase == streamAnswered {
			c.forget(st)
			return nil
		}
	} else if st.phase == streamAnswered && st.inWindow.left == 0 {
		c.reset(st, codeNone)
		c.forget(st)
		return nil
	}
	wake(st.bodyWake)
	return nil
}

// keepData appends to the body's buffer.
func (st *serverStream) keepData(data []byte) {
	if len(st.body)-st.bw < len(data) {
		held := st.bw - st.br
		if held+len(data) <= len(st.body) {
			copy(st.body, st.body[st.br:st.bw])
		} else {
			grown := getBuffer(held + len(data))
			copy(grown, st.body[st.br:st.bw])
			if st.body != nil {
				putBuffer(st.body)
			}
			st.body = grown
		}
		st.br, st.bw = 0, held
	}
	st.bw += copy(st.body[st.bw:], data)
}

// credit lets the client send n bytes more on the connection. The caller holds mu.
func (c *session) credit(n int) {
	if more := c.inWindow.done(n); more > 0 {
		c.reserve(frameHeaderLen + 4)
		c.out = appendWindowUpdate(c.out, 0, more)
	}
}

// credit lets the client send n bytes more on the stream. The caller holds mu.
func (st *serverStream) credit(n int) {
	if more := st.inWindow.done(n); more > 0 && !st.remoteDone {
		st.c.reserve(frameHeaderLen + 4)
		st.c.out = appendWindowUpdate(st.c.out, st.id, more)
	}
}

// ReadBody implements proxy.Downstream.
func (st *serverStream) ReadBody(p []byte) (int, error) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st.reading = true
	if st.replayed < len(st.replay) {
		n := copy(p, st.replay[st.replayed:])
		st.replayed += n
		return n, nil
	}
	n, err := st.readBody(p)
	st.ex.BytesReceived += int64(n)
	st.remember(p[:n])
	return n, err
}

// readBody waits for more of the body and returns it. The caller holds mu.
func (st *serverStream) readBody(p []byte) (int, error) {
	c := st.c
	for st.br == st.bw {
		switch {
		case st.bodyErr != nil:
			return 0, st.bodyErr
		case st.stopped || st.timedOut:
			return 0, os.ErrDeadlineExceeded
		case st.lost || st.gone:
			return 0, errClientGone
		case st.remoteDone:
			st.countTrailers()
			return 0, io.EOF
		}
		c.flush()
		if st.br < st.bw {
			break
		}
		c.mu.Unlock()
		<-st.bodyWake
		c.mu.Lock()
	}
	if st.stopped {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, st.body[st.br:st.bw])
	if st.br += n; st.br == st.bw {
		putBuffer(st.body)
		st.body, st.br, st.bw = nil, 0, 0
	}
	st.since = proxy.Now()
	c.credit(n)
	st.credit(n)
	c.flushLater()
	if st.remoteDone && st.br == st.bw && st.bodyErr == nil && !st.gone {
		st.countTrailers()
		return n, io.EOF
	}
	return n, nil
}

// countTrailers counts the trailers as received, now that whoever has the exchange hears of
// the body's end. The caller holds mu.
func (st *serverStream) countTrailers() {
	st.ex.HeadReceived += int64(st.trailerBytes)
	st.trailerBytes = 0
}

// remember keeps a part of the body for another try. A body that is too large is not kept at
// all.
func (st *serverStream) remember(p []byte) {
	if !st.keep || len(p) == 0 {
		return
	}
	if len(st.replay)+len(p) > maxReplay {
		st.keep = false
		return
	}
	if st.replay == nil {
		st.replay = getBuffer(maxReplay)[:0]
	}
	st.replay = append(st.replay, p...)
	st.replayed = len(st.replay)
}

// Trailers implements proxy.Downstream.
func (st *serverStream) Trailers() []router.Header {
	if !st.head.trailers && !st.ex.WantsTrailers {
		return nil
	}
	return st.trailerList.fields
}

// takeTrailers drops what must not be forwarded, and tells whether the rest may stand in
// trailers.
func (st *serverStream) takeTrailers() bool {
	kept := st.trailerList.fields[:0]
	for _, f := range st.trailerList.fields {
		if f.Name[0] == ':' {
			return false
		}
		if http1.TrailerAllowed(f.Name) {
			kept = append(kept, f)
		}
	}
	st.trailerList.fields = kept
	return true
}

// KeepBody implements proxy.Downstream.
func (st *serverStream) KeepBody() { st.keep = true }

// Rewindable implements proxy.Downstream.
func (st *serverStream) Rewindable() bool {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return st.rewindable()
}

func (st *serverStream) rewindable() bool {
	return !st.reading || st.keep && st.bodyErr == nil && !st.lost
}

// Rewind implements proxy.Downstream.
func (st *serverStream) Rewind() bool {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.rewindable() {
		return false
	}
	st.replayed, st.stopped = 0, false
	return true
}

// CloseBody implements proxy.Downstream.
func (st *serverStream) CloseBody() {
	c := st.c
	c.mu.Lock()
	st.stopped = true
	wake(st.bodyWake)
	c.mu.Unlock()
}
