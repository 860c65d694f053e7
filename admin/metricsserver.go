package admin

import (
	"net/http"

	"github.com/gorilla/mux"
)

// NewMetricsHandler returns the handler of a server for Prometheus on another machine:
// /stats/prometheus and /metrics are the metrics, for few at a time. It shows nothing else.
func NewMetricsHandler(metrics http.Handler) http.Handler {
	r := mux.NewRouter()
	metrics = scraped(metrics)
	get := []string{http.MethodGet, http.MethodHead}
	for _, path := range []string{"/stats/prometheus", "/metrics"} {
		r.Path(path).Methods(get...).Handler(metrics)
	}
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "only /stats/prometheus and /metrics are here")
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusMethodNotAllowed, "metrics are read with GET")
	})
	return r
}
