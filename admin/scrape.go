package admin

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxScrapes bounds the answers with metrics in progress: each holds all of them in memory.
	maxScrapes = 16
	// slowScrape is how long whoever asks for metrics may take to read them; Prometheus itself
	// gives up after ten seconds unless it is told otherwise.
	slowScrape = time.Minute
)

// scraped has few read metrics at a time, and none for ever: the server of metrics may be open
// to other machines, and those who ask and do not read must not hold its memory.
func scraped(metrics http.Handler) http.HandlerFunc {
	var open atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		defer open.Add(-1)
		if open.Add(1) > maxScrapes {
			writeProblem(w, http.StatusServiceUnavailable, fmt.Sprintf("metrics are being read %d times already; ask again later", maxScrapes))
			return
		}
		out := http.NewResponseController(w)
		// Not all writers have deadlines: those of tests and of middleware may do without.
		if out.SetWriteDeadline(time.Now().Add(slowScrape)) == nil {
			defer out.SetWriteDeadline(time.Time{})
		}
		metrics.ServeHTTP(w, r)
	}
}
