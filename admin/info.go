package admin

import (
	"net/http"
	"time"
)

// serverInfo shows the process.
func serverInfo(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		state, reason := "LIVE", ""
		if err := o.Ready(); err != nil {
			state, reason = "NOT_READY", err.Error()
		}
		writeJSON(w, struct {
			Info
			State  string `json:"state"`
			Reason string `json:"reason,omitempty"`
			Uptime string `json:"uptime"`
		}{o.Info, state, reason, time.Since(o.Info.Started).Truncate(time.Second).String()})
	}
}
