package http2

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/proxy"
)

// headerBlock is a header block of which not all frames have come.
type headerBlock struct {
	open       bool
	stream     uint32
	endStream  bool
	dependency bool // the stream depends on itself
	bytes      []byte
	small      int
	// wire counts the bytes of its frames.
	wire int
}

// smallContinuation is the size below which a CONTINUATION frame is taken for an attempt to
// keep us busy.
const smallContinuation = 256

var (
	errBlockTooLarge   = &connError{codeEnhanceYourCalm, "a header block is too large"}
	errContinuations   = &connError{codeEnhanceYourCalm, "too many small CONTINUATION frames"}
	errPriorityPayload = &connError{codeFrameSize, "HEADERS without room for its priority"}
	errTooManyStreams  = &connError{codeEnhanceYourCalm, "too many streams are opened and left"}
)

// gotHeaders begins a header block, and ends most.
func (c *session) gotHeaders(h frameHeader, payload []byte) *connError {
	if h.stream == 0 {
		return errStreamZero
	}
	if h.stream&1 == 0 {
		return errEvenStream
	}
	payload, err := cutPadding(h, payload)
	if err != nil {
		return err
	}
	b := &c.block
	*b = headerBlock{stream: h.stream, endStream: h.has(flagEndStream), bytes: b.bytes[:0], wire: frameHeaderLen + h.length}
	if h.has(flagPriority) {
		if len(payload) < 5 {
			return errPriorityPayload
		}
		b.dependency = binary.BigEndian.Uint32(payload)&maxStreamID == h.stream
		payload = payload[5:]
	}
	if h.has(flagEndHeaders) {
		return c.endBlock(payload)
	}
	b.open = true
	b.bytes = append(b.bytes, payload...)
	return nil
}

// gotContinuation goes on with a header block.
func (c *session) gotContinuation(h frameHeader, payload []byte) *connError {
	b := &c.block
	if !b.open {
		return errNoBlock
	}
	if len(b.bytes)+len(payload) > c.options.Limits.HeadBytes {
		c.options.observe(proxy.ConnHTTP2HeaderFlood)
		return errBlockTooLarge
	}
	b.bytes = append(b.bytes, payload...)
	b.wire += frameHeaderLen + h.length
	if h.has(flagEndHeaders) {
		b.open = false
		err := c.endBlock(b.bytes)
		if cap(b.bytes) > smallBuffer {
			b.bytes = nil
		}
		return err
	}
	if len(payload) < smallContinuation {
		if b.small++; b.small > c.options.Abuse.SmallContinuations {
			c.options.observe(proxy.ConnHTTP2HeaderFlood)
			return errContinuations
		}
	}
	return nil
}

// endBlock deals with a header block that is whole: it opens a stream, or has the trailers of
// one that is open.
func (c *session) endBlock(block []byte) *connError {
	id := c.block.stream
	c.mu.Lock()
	known, last := c.streams.get(id) != nil, c.last
	ignored := c.ignored(id)
	c.mu.Unlock()
	switch {
	case known:
		err := c.gotTrailers(id, block)
		c.discard.trim()
		return err
	case id > last:
		return c.open(id, block)
	}
	if err := c.passOver(block); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ignored || c.refused.has(id) {
		return nil
	}
	return errClosedStream
}

// open opens a stream with its request.
func (c *session) open(id uint32, block []byte) *connError {
	c.mu.Lock()
	final := c.drain.final
	full := c.streams.n >= c.options.MaxConcurrentStreams
	waiting := len(c.workers.queue)
	if final {
		c.drain.opened = max(c.drain.opened, id)
	}
	c.mu.Unlock()
	if final || full {
		return c.refuse(id, block, full && !final)
	}
	if waiting > c.options.MaxConcurrentStreams {
		return errTooManyStreams
	}
	c.guard.streams++
	st := newServerStream(c, id)
	if err := c.dec.decode(block, &st.list); err != nil {
		st.release()
		return err
	}
	verdict := c.block.verdict()
	if verdict == headGood {
		verdict = st.parse(c.block.endStream)
	}
	st.ex.HeadReceived = int64(c.block.wire)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = id
	if verdict == headMalformed {
		st.release()
		c.options.observe(proxy.ConnRejected)
		return c.resetID(id, codeProtocol)
	}
	if c.headBytes+st.list.size > c.options.ConnectionHeadBytes {
		st.release()
		c.options.observe(proxy.ConnHTTP2Refused)
		return c.resetID(id, codeRefusedStream)
	}
	c.headBytes += st.list.size
	st.window = sendWindow(c.peer.initialWindow)
	st.remoteDone = c.block.endStream
	c.streams.add(st)
	c.watch.since = 0
	c.begin(st)
	return nil
}

func (b *headerBlock) verdict() headVerdict {
	if b.dependency {
		return headMalformed
	}
	return headGood
}

// passOver decodes a header block for its traces in the table alone.
func (c *session) passOver(block []byte) *connError {
	c.discard.reset()
	err := c.dec.decode(block, &c.discard)
	c.discard.trim()
	return err
}

// refuse turns down a stream, which the client may open again elsewhere or later.
func (c *session) refuse(id uint32, block []byte, reset bool) *connError {
	if err := c.passOver(block); err != nil {
		return err
	}
	if !reset {
		return nil
	}
	c.options.observe(proxy.ConnHTTP2Refused)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = id
	return c.resetID(id, codeRefusedStream)
}

// gotTrailers takes the trailers of a request, which end it.
func (c *session) gotTrailers(id uint32, block []byte) *connError {
	list := &c.discard
	list.reset()
	if err := c.dec.decode(block, list); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams.get(id)
	switch {
	case st == nil:
		return nil // It has ended meanwhile.
	case st.remoteDone:
		return c.resetBad(st, codeStreamClosed)
	case !c.block.endStream || c.block.dependency || list.malformed || list.tooLarge:
		return c.resetBad(st, codeProtocol)
	case c.headBytes+list.size > c.options.ConnectionHeadBytes:
		return c.resetBad(st, codeEnhanceYourCalm)
	}
	c.headBytes += list.size
	st.trailerList, *list = *list, st.trailerList
	st.trailerBytes = c.block.wire
	if !st.takeTrailers() {
		return c.resetBad(st, codeProtocol)
	}
	return c.takeData(st, nil, true)
}
