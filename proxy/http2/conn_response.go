package http2

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// turn deals with what has come since the last one.
func (s *ConnStream) turn() {
	s.mu.Lock()
	in := &s.in
	interim, data := in.interim, in.data
	in.interim, in.data = nil, nil
	headed, ended, noBody := in.headed, in.ended, in.noBody
	failure, err, late, bodyErr := in.failure, in.err, in.late, in.bodyErr
	s.mu.Unlock()

	if headed || len(interim) > 0 {
		s.res.Received = true
	}
	s.bodyless = noBody
	switch {
	case s.aborter.Aborted():
		s.fail(proxy.FailDownstream, nil)
	case late:
		s.fail(proxy.FailTimeout, errLate)
	case bodyErr != nil:
		s.fail(proxy.FailDownstream, bodyErr)
	case failure != proxy.FailNone && !s.headed && !(headed && noBody):
		// Whoever has got nothing yet can be answered otherwise.
		s.fail(failure, err)
	}
	for i := range interim {
		if s.done {
			break
		}
		s.relayInterim(&interim[i])
	}
	switch {
	case s.done:
	case headed && !s.headed:
		s.relayHead(data, ended)
	case s.headed && (len(data) > 0 || ended):
		s.relayBody(data, ended)
	}
	if !s.res.Upgraded {
		putBuffer(data)
	}
	if failure != proxy.FailNone && !s.done {
		s.fail(failure, err)
	}
}

// relayInterim relays a 1xx response.
func (s *ConnStream) relayInterim(h *responseHead) {
	if h.status == 100 && !s.ex.Expect100 {
		return
	}
	s.resp = proxy.Response{Status: h.status, Headers: h.headers, DeclaredLength: -1}
	if err := s.down.Interim(&s.resp); err != nil {
		s.fail(proxy.FailDownstream, err)
	}
}

// relayHead relays the response's head, and the beginning of its body.
func (s *ConnStream) relayHead(data []byte, ended bool) {
	// The connection does not touch these any more.
	h, r := &s.in.head, &s.resp
	s.headed = true
	if s.connects && h.status < 300 {
		s.upgrade(data)
		return
	}
	var trailers []router.Header
	if ended {
		trailers = s.trailers()
	}
	*r = proxy.Response{Status: h.status, Headers: h.headers, DeclaredLength: h.length}
	switch {
	case s.bodyless || ended && len(data) == 0 && trailers == nil:
		data = nil
	case h.length >= 0:
		r.Body = proxy.Body{Kind: proxy.BodyLength, Length: h.length}
	default:
		r.Body = proxy.Body{Kind: proxy.BodyStream}
	}
	relay := s.filter.FilterResponse(s.ex, r)
	h.list.fields = r.Headers[:0]
	if !relay {
		s.fail(proxy.FailRefused, nil)
		return
	}
	if s.bodyless {
		trailers, ended = nil, true
	}
	s.res.Responded = true
	err := s.down.Respond(s.ex, r, data, ended && trailers == nil)
	if err == nil && trailers != nil {
		err = s.down.WriteBody(nil, trailers, true)
	}
	s.relayed(len(data), ended, err)
}

// relayBody relays more of the body, and its trailers.
func (s *ConnStream) relayBody(data []byte, ended bool) {
	var trailers []router.Header
	if ended {
		trailers = s.trailers()
	}
	s.relayed(len(data), ended, s.down.WriteBody(data, trailers, ended))
}

// relayed goes on after so many bytes of the body were relayed: the endpoint may send more.
func (s *ConnStream) relayed(n int, ended bool, err error) {
	switch {
	case err != nil:
		s.fail(proxy.FailDownstream, err)
	case ended:
		s.done, s.res.Reusable = true, true
		if s.bodyless {
			break
		}
		if status := proxy.GRPCStatus(s.in.trailers.fields); status != "" {
			s.ex.GRPCStatus = status
		}
	case n > 0:
		s.open(n)
	}
}

// open opens the stream's window again by what was dealt with.
func (s *ConnStream) open(n int) {
	s.mu.Lock()
	by := 0
	if !s.in.ended {
		by = s.in.window.done(n)
	}
	s.mu.Unlock()
	if by == 0 {
		return
	}
	c := s.c
	c.mu.Lock()
	if !s.reset {
		c.queue.out = appendWindowUpdate(c.queue.room(32), s.id, by)
	}
	c.send()
}

// trailers returns the response's trailers, as far as the client takes them. Everything has
// come.
func (s *ConnStream) trailers() []router.Header {
	fields := s.in.trailers.fields
	if len(fields) == 0 {
		return nil
	}
	if p := s.ex.Protocol; s.ex.WantsTrailers || p == "HTTP/2" || p == "HTTP/3" {
		return fields
	}
	return nil
}

// fail ends the exchange without a whole response.
func (s *ConnStream) fail(f proxy.Failure, err error) {
	if s.done {
		return
	}
	if s.aborter.Aborted() {
		f = proxy.FailDownstream
	}
	s.res.Failure, s.res.Err, s.res.Reusable = f, err, false
	s.done = true
	if s.res.Responded && f != proxy.FailDownstream {
		s.down.Cut()
	}
}
