package admin

import (
	"net/http"

	"github.com/gorilla/mux"
)

// NewStatusHandler returns the status server's handler, for load balancers and
// kubelets: /healthz/ready is 200 where ready returns nil and 503 with its words
// elsewhere, /healthz/live is 200 for as long as the process answers. It shows nothing
// else, so it may listen on every address.
func NewStatusHandler(ready func() error) http.Handler {
	r := mux.NewRouter()
	get := []string{http.MethodGet, http.MethodHead}
	r.Path("/healthz/ready").Methods(get...).HandlerFunc(readiness(ready))
	r.Path("/healthz/live").Methods(get...).HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, "live\n")
	})
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "only /healthz/ready and /healthz/live are here")
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusMethodNotAllowed, "health is read with GET")
	})
	return r
}

func readiness(ready func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			writeProblem(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		writeText(w, "ready\n")
	}
}
