package http3

import (
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
)

// left counts the requests that a client has left before they were answered, in the period that
// began at: each has cost us more than it (CVE-2023-44487).
type left struct {
	mu    sync.Mutex
	n     int
	began int64
}

// count counts one more, and returns how many there are.
func (l *left) count(now int64, period time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now-l.began > int64(period) {
		l.began, l.n = now, 0
	}
	l.n++
	return l.n
}

// abandoned notes that the client has left a request, and closes the connection where it has left
// too many.
func (s *Server) abandoned(c *connection) {
	if c.conn.Context().Err() != nil {
		return // It has left them all at once.
	}
	if c.left.count(proxy.Now(), s.options.ResetPeriod) == s.options.Resets+1 {
		s.observe(proxy.ConnHTTP3RapidReset)
		c.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many requests are left before they are answered")
	}
}
