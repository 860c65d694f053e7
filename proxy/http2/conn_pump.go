package http2

import (
	"errors"
	"io"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// bodyPump sends a request's body as it comes, while the response is waited for and relayed.
type bodyPump struct {
	on   bool
	done chan struct{}
	// fault is the client's; finished tells that all was sent.
	fault    error
	finished bool
}

// startPump has the rest of the body sent: what is left of a payload that had come, with its
// trailers, or what is read of the client.
func (s *ConnStream) startPump(rest []byte, trailers []router.Header) {
	s.pump.on = true
	if len(rest) > 0 || len(trailers) > 0 {
		go s.pumpRest(rest, trailers)
	} else {
		go s.pumpBody()
	}
}

func (s *ConnStream) pumpRest(rest []byte, trailers []router.Header) {
	s.pump.finished = s.sendBody(rest, len(trailers) == 0) && (len(trailers) == 0 || s.sendTrailers(trailers))
	s.pump.done <- struct{}{}
}

// pumpBody sends what is read as soon as it is. It holds little memory while a client that
// says little is waited for.
func (s *ConnStream) pumpBody() {
	buf := getBuffer(smallBuffer)
	for {
		n, err := s.down.ReadBody(buf)
		if err != nil && err != io.EOF {
			// The endpoint must not take what it got for a whole body.
			s.pump.fault = err
			s.mu.Lock()
			s.in.bodyErr = err
			s.mu.Unlock()
			s.wakeUp()
			break
		}
		var trailers []router.Header
		if err == io.EOF {
			trailers = s.down.Trailers()
		}
		sent := true
		if n > 0 || err == io.EOF && len(trailers) == 0 {
			sent = s.sendBody(buf[:n], err == io.EOF && len(trailers) == 0)
		}
		if sent && len(trailers) > 0 {
			sent = s.sendTrailers(trailers)
		}
		if err == io.EOF || !sent {
			s.pump.finished = sent
			break
		}
		if want := smallBuffer; n == len(buf) || n < len(buf) && n < smallBuffer != (len(buf) == smallBuffer) {
			if n == len(buf) {
				want = readBuffer
			}
			putBuffer(buf)
			buf = getBuffer(want)
		}
	}
	putBuffer(buf)
	s.pump.done <- struct{}{}
}

// sendTrailers ends the request with trailers.
func (s *ConnStream) sendTrailers(trailers []router.Header) bool {
	c := s.c
	c.mu.Lock()
	if s.stopped {
		c.mu.Unlock()
		return false
	}
	s.queueTrailers(trailers)
	c.send()
	return true
}

// endPump stops the pump after the exchange.
func (s *ConnStream) endPump() {
	p := &s.pump
	stopped := false
	select {
	case <-p.done:
	default:
		stopped = true
		s.c.mu.Lock()
		s.stopped = true
		s.wakeSender()
		s.c.mu.Unlock()
		s.down.CloseBody()
		<-p.done
	}
	p.on = false
	// A pump that was stopped has an error of that alone, unless it was just ending with a
	// body that is bad.
	var fault *http1.ProtocolError
	if p.fault != nil && !s.res.Responded && (!stopped || errors.As(p.fault, &fault)) {
		s.res.Failure, s.res.BodyError = proxy.FailDownstream, p.fault
	}
}
