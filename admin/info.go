package admin

import (
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/sluicegate/sluice/version"
)

// ServerInfo is what /server_info answers: the process, under Envoy's names where it has them.
type ServerInfo struct {
	Info
	// Version hides that of Info: Envoy's page has a text here. Build is all that is known.
	Version string       `json:"version"`
	Build   version.Info `json:"build"`
	// State is LIVE or, with Reason, INITIALIZING before the first configuration is served, and
	// DRAINING at the end.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Uptime string `json:"uptime"`
	// UptimeCurrentEpoch and UptimeAllEpochs are seconds, "12s".
	UptimeCurrentEpoch string             `json:"uptime_current_epoch"`
	UptimeAllEpochs    string             `json:"uptime_all_epochs"`
	HotRestartVersion  string             `json:"hot_restart_version"`
	CommandLine        commandLineOptions `json:"command_line_options"`
	Node               serverNode         `json:"node"`
}

type commandLineOptions struct {
	Concurrency int    `json:"concurrency"`
	LogLevel    string `json:"log_level,omitempty"`
	Mode        string `json:"mode"`
}

// serverNode is who the proxy is.
type serverNode struct {
	ID       string         `json:"id"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// metadata are the proxy's namespace and labels under the names that Istio's proxies have them.
func (i *Info) metadata() map[string]any {
	m := map[string]any{"ISTIO_VERSION": i.Version.Version}
	if i.Namespace != "" {
		m["NAMESPACE"] = i.Namespace
	}
	if len(i.Labels) > 0 {
		m["LABELS"] = i.Labels
	}
	return m
}

// Draining is an error of Options.Ready that says that the process is about to end.
type Draining interface {
	error
	Draining()
}

// serverInfo shows the process.
func serverInfo(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		up := time.Since(o.Info.Started).Truncate(time.Second)
		seconds := fmt.Sprintf("%.0fs", up.Seconds())
		s := ServerInfo{
			Info: o.Info, Version: o.Info.Version.String(), Build: o.Info.Version, State: "LIVE", Uptime: up.String(),
			UptimeCurrentEpoch: seconds, UptimeAllEpochs: seconds, HotRestartVersion: "disabled",
			CommandLine: commandLineOptions{Concurrency: runtime.GOMAXPROCS(0), Mode: "Serve"},
			Node:        serverNode{ID: o.Node, Metadata: o.Info.metadata()},
		}
		if o.LogLevel != nil {
			s.CommandLine.LogLevel = o.LogLevel.Level().String()
		}
		if err := o.Ready(); err != nil {
			s.State, s.Reason = "INITIALIZING", err.Error()
			if _, draining := err.(Draining); draining {
				s.State = "DRAINING"
			}
		}
		writeJSON(w, s)
	}
}
