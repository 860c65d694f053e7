package http2

import (
	"errors"

	"github.com/sluicegate/sluice/proxy"
)

// gotHead takes the head of a response, an interim one's too, or trailers. What it takes it
// gives its own for. The caller holds the connection's mu.
func (s *ConnStream) gotHead(h *responseHead, ends, trailers bool) *streamError {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &s.in
	switch {
	case in.failure != proxy.FailNone:
		return nil
	case in.ended:
		return errDataLate
	case trailers && !ends:
		return errHeadLate
	case trailers:
		in.trailers, h.list = h.list, in.trailers
		return in.end()
	case h.status < 200:
		if in.interims++; in.interims > maxInterim || ends {
			return errHeadInterim
		}
		in.interim = append(in.interim, *h)
		*h = responseHead{}
		return nil
	}
	in.head, *h = *h, in.head
	in.headed, in.want = true, in.head.length
	if in.noBody = in.noBody || in.head.status == 204 || in.head.status == 304; in.noBody {
		in.want = -1
	}
	if ends {
		return in.end()
	}
	return nil
}

// gotData takes a piece of the body, which came with so much padding. The caller holds the
// connection's mu.
func (s *ConnStream) gotData(data []byte, padding int, ends bool) *streamError {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &s.in
	switch {
	case in.failure != proxy.FailNone:
		return nil
	case in.ended:
		return errDataLate
	case !in.headed:
		return errDataEarly
	case in.noBody && len(data) > 0:
		return errDataUnwanted
	case !in.window.take(len(data) + padding):
		return errStreamOverrun
	}
	in.window.owed += padding
	in.got += int64(len(data))
	if in.want >= 0 && in.got > in.want {
		return errDataLength
	}
	if len(data) > 0 {
		if in.data == nil {
			in.data = getBuffer(len(data))[:0]
		}
		in.data = append(grow(in.data, len(data)), data...)
	}
	if ends {
		return in.end()
	}
	return nil
}

// end notes that the response is complete.
func (in *inbox) end() *streamError {
	if in.want >= 0 && in.got != in.want {
		return errDataLength
	}
	in.ended = true
	return nil
}

// resetErrors are made once for the codes there are.
var resetErrors = func() (all [len(codeNames)]error) {
	for code := range all {
		all[code] = errors.New("http2: the endpoint reset the stream (" + errCode(code).String() + ")")
	}
	return all
}()

func resetError(code errCode) error {
	if int(code) < len(resetErrors) {
		return resetErrors[code]
	}
	return errors.New("http2: the endpoint reset the stream (" + code.String() + ")")
}

// gotReset takes the endpoint's word that the stream is over. Behind a whole response it
// says no more than that the rest of the request is not wanted. The caller holds the
// connection's mu.
func (s *ConnStream) gotReset(code errCode) {
	s.mu.Lock()
	fresh := !s.in.headed && s.in.interims == 0
	s.mu.Unlock()
	failure := proxy.FailStreamReset
	if code == codeRefusedStream && fresh {
		failure = proxy.FailRefusedStream
	}
	s.end(failure, resetError(code))
}
