package http2

import "github.com/sluicegate/sluice/proxy/http1"

const (
	// maxBlockExcess is by how much a header block, as it is sent, may be larger than what
	// it may decode to; maxContinuations bounds its frames. Beyond, it is not even decoded.
	maxBlockExcess   = 4 << 10
	maxContinuations = 32
)

var ()

// streamError ends a stream whose endpoint broke the rules, and leaves the connection alone.
type streamError struct {
	code   errCode
	detail string
}

func (e *streamError) Error() string { return "http2: " + e.detail }

func malformed(detail string) *streamError { return &streamError{codeProtocol, detail} }

var (
	errHeadLarge      = malformed("the response's head, or its trailers, are larger than what is taken")
	errHeadField      = malformed("a response field with a name or a value that none may have")
	errHeadStatus     = malformed("a response without a valid :status")
	errHeadPseudo     = malformed("a pseudo-header field where none may be")
	errHeadConnection = malformed("a response field that belongs to connections of HTTP/1")
	errHeadLength     = malformed("a Content-Length that is invalid, or not the only one")
	errHeadInterim    = malformed("too many interim responses, or one that ends the stream")
	errHeadLate       = malformed("a second head, or trailers that do not end the stream")
	errDataEarly      = malformed("DATA before the response's head")
	errDataLate       = &streamError{codeStreamClosed, "frames behind the stream's end"}
	errDataUnwanted   = malformed("a body in a response that must not have one")
	errDataLength     = malformed("a body of another length than Content-Length says")
	errStreamWindow   = &streamError{codeFlowControl, "WINDOW_UPDATE by nothing, or by too much"}
	errStreamOverrun  = &streamError{codeFlowControl, "more DATA than the stream's window lets through"}
)

// responseBlock is a header block that comes in several frames.
type responseBlock struct {
	// stream is 0 while there is none.
	stream uint32
	ends   bool
	frames int
	bytes  []byte
}

// gotHeaders takes a HEADERS frame.
func (c *Conn) gotHeaders(h frameHeader, payload []byte) *connError {
	block, err := cutPadding(h, payload)
	if err != nil {
		return err
	}
	if h.has(flagPriority) {
		if len(block) < 5 {
			return errPriorityPayload
		}
		block = block[5:]
	}
	if h.has(flagEndHeaders) {
		return c.gotBlock(h.stream, h.has(flagEndStream), block)
	}
	c.block.stream, c.block.ends, c.block.frames = h.stream, h.has(flagEndStream), 0
	c.block.bytes = append(c.block.bytes[:0], block...)
	return nil
}

// gotContinuation takes a CONTINUATION frame of the block in progress.
func (c *Conn) gotContinuation(h frameHeader, payload []byte) *connError {
	b := &c.block
	if b.stream == 0 {
		return errContinuation
	}
	b.bytes = append(b.bytes, payload...)
	if b.frames++; b.frames > maxContinuations || len(b.bytes) > c.limits.HeadBytes+maxBlockExcess {
		return errBlockTooLarge
	}
	if !h.has(flagEndHeaders) {
		return nil
	}
	stream := b.stream
	b.stream = 0
	err := c.gotBlock(stream, b.ends, b.bytes)
	if cap(b.bytes) > readBuffer {
		b.bytes = nil
	}
	return err
}

// gotBlock takes a whole header block. It is decoded whatever becomes of it: later ones rest
// on it.
func (c *Conn) gotBlock(id uint32, ends bool, block []byte) *connError {
	c.mu.Lock()
	s, err := c.known(id)
	trailers := s != nil && s.in.headed
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.head.reset()
	if err := c.dec.decode(block, &c.head.list); err != nil {
		return err
	}
	var fault *streamError
	if trailers {
		fault = checkTrailers(&c.head.list)
	} else {
		fault = c.head.parse()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// It may be over by now.
	if s, _ = c.known(id); s == nil {
		return nil
	}
	if fault == nil {
		fault = s.gotHead(&c.head, ends, trailers)
	}
	if fault != nil {
		c.failStream(s, fault)
	}
	c.news = append(c.news, s)
	return nil
}

// parse reads the head of a response (RFC 9113 section 8.3.2).
func (h *responseHead) parse() *streamError {
	fields := h.list.fields
	switch {
	case h.list.tooLarge:
		return errHeadLarge
	case h.list.malformed:
		return errHeadField
	case len(fields) == 0 || fields[0].Name != ":status":
		return errHeadStatus
	}
	status := fields[0].Value
	if len(status) != 3 {
		return errHeadStatus
	}
	for i := range len(status) {
		d := status[i] - '0'
		if d > 9 {
			return errHeadStatus
		}
		h.status = 10*h.status + int(d)
	}
	// Nothing is switched by 101 (RFC 9113 section 8.6).
	if h.status < 100 || h.status > 599 || h.status == 101 {
		return errHeadStatus
	}
	kept := fields[:0]
	for _, f := range fields[1:] {
		switch {
		case f.Name[0] == ':':
			return errHeadPseudo
		case f.Name == "content-length":
			n, ok := http1.ParseLength(f.Value)
			if !ok || h.length >= 0 {
				return errHeadLength
			}
			h.length = n
		case http1.HopByHop(f.Name):
			return errHeadConnection
		case f.Name == "te":
		default:
			kept = append(kept, f)
		}
	}
	h.headers = kept
	return nil
}

// checkTrailers looks at trailers, and leaves those that may be relayed.
func checkTrailers(l *fieldList) *streamError {
	switch {
	case l.tooLarge:
		return errHeadLarge
	case l.malformed:
		return errHeadField
	}
	kept := l.fields[:0]
	for _, f := range l.fields {
		switch {
		case f.Name[0] == ':':
			return errHeadPseudo
		case http1.HopByHop(f.Name):
			return errHeadConnection
		case http1.TrailerAllowed(f.Name):
			kept = append(kept, f)
		}
	}
	l.fields = kept
	return nil
}
