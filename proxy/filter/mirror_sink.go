package filter

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// errEnough ends a mirror's response that is larger than what is read of one.
var errEnough = errors.New("the mirror's response is larger than what is read of it")

// sink is the client's side of a mirror's exchange: it takes the response, counts it, and
// keeps nothing.
type sink struct {
	left     int64
	trailers []router.Header
	// status is that of the response; 0 while none has come.
	status int

	mu      sync.Mutex
	gone    bool
	aborter *proxy.Aborter
}

var (
	_ proxy.Downstream     = (*sink)(nil)
	_ proxy.ResponseFilter = (*sink)(nil)
)

// FilterResponse implements proxy.ResponseFilter.
func (s *sink) FilterResponse(ex *proxy.Exchange, r *proxy.Response) bool {
	s.status = r.Status
	return true
}

// Respond implements proxy.Downstream.
func (s *sink) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	if r.Body.Kind == proxy.BodyLength && r.Body.Length > s.left {
		return errEnough
	}
	return s.WriteBody(body, nil, end)
}

// WriteBody implements proxy.Downstream.
func (s *sink) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if s.left -= int64(len(p)); s.left < 0 {
		return errEnough
	}
	return nil
}

// Attach implements proxy.Downstream.
func (s *sink) Attach(a *proxy.Aborter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborter = a
	return !s.gone
}

// abort ends what the exchange waits for, now and later.
func (s *sink) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.aborter != nil {
		s.aborter.Abort()
	}
}

func (s *sink) aborted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// Lost implements proxy.Downstream.
func (s *sink) Lost() (lost, timeout bool) { return s.aborted(), false }

// Trailers implements proxy.Downstream.
func (s *sink) Trailers() []router.Header { return s.trailers }

// ReadBody implements proxy.Downstream: the body went with the head.
func (s *sink) ReadBody([]byte) (int, error) { return 0, io.EOF }

// CloseBody implements proxy.Downstream.
func (s *sink) CloseBody() {}

// KeepBody implements proxy.Downstream.
func (s *sink) KeepBody() {}

// Rewindable implements proxy.Downstream.
func (s *sink) Rewindable() bool { return true }

// Rewind implements proxy.Downstream.
func (s *sink) Rewind() bool { return true }

// Interim implements proxy.Downstream.
func (s *sink) Interim(*proxy.Response) error { return nil }

// Splice implements proxy.Downstream: the bytes are counted one by one.
func (s *sink) Splice(net.Conn, int64) (int64, bool, error) { return 0, false, nil }

// Cut implements proxy.Downstream.
func (s *sink) Cut() {}

// Tunnel implements proxy.Downstream: a mirror never becomes one.
func (s *sink) Tunnel() ([]byte, net.Conn) { return nil, nil }
