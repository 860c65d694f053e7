package ui

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sluicegate/sluice/admin"
)

// slowClient is how long a page may take to take an update.
const slowClient = 10 * time.Second

// events streams updates to a page (server-sent events, HTML standard section 9.2).
func (h *hub) events(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		// Whoever asks so takes the head for all of it, and never ends the rest.
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	l := h.join()
	if l == nil {
		admin.WriteProblem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open already; close one", h.max))
		return
	}
	defer h.leave(l)
	out := http.NewResponseController(w)
	// The server's time limit for requests would end the stream.
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		admin.WriteProblem(w, http.StatusInternalServerError, "this connection cannot stream")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	var has uint64
	var b []byte
	for {
		select {
		case <-r.Context().Done():
			return
		case <-l.wake:
		}
		s := h.current()
		if s == nil || s.number == has {
			continue
		}
		b = s.appendEvent(b[:0], has)
		has = s.number
		if out.SetWriteDeadline(time.Now().Add(slowClient)) != nil {
			return
		}
		if _, err := w.Write(b); err != nil {
			return
		}
		if out.Flush() != nil {
			return
		}
	}
}
