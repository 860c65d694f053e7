package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/admin/envoy"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// Dump is what /config_dump answers: the configuration in force, in Sluice's own words.
type Dump struct {
	Info
	Generation uint64    `json:"generation"`
	Updated    time.Time `json:"updated"`
	// Spec is null before the first configuration.
	Spec       *router.Spec `json:"spec"`
	Conditions []Condition  `json:"conditions"`
}

// Condition is a config.Condition whose object is spelt out.
type Condition struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	config.Condition
}

// Conditions spells the objects of conditions out. The result is never nil.
func Conditions(list []config.Condition) []Condition {
	out := make([]Condition, len(list))
	for i, c := range list {
		out[i] = Condition{Kind: c.Object.Kind, Namespace: c.Object.Namespace, Name: c.Object.Name, Condition: c}
	}
	return out
}

func configDump(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := o.Config()
		if r.URL.Query().Get("format") == "envoy" || r.URL.Query().Has("include_eds") {
			writeJSON(w, envoy.ConfigDump(envoyState(o, c, r)))
			return
		}
		writeJSON(w, Dump{
			Info:       o.Info,
			Generation: c.Generation,
			Updated:    c.Updated,
			Spec:       c.Spec,
			Conditions: Conditions(c.Conditions),
		})
	}
}

// envoyState is what Envoy's pages tell of.
func envoyState(o Options, c Config, r *http.Request) envoy.State {
	s := envoy.State{
		Spec: c.Spec, Version: strconv.FormatUint(c.Generation, 10), Updated: c.Updated,
		Node: o.Node, Metadata: o.Info.metadata(), Admin: r.Host,
		Inbound: map[string]bool{}, Sockets: map[string]string{},
		Clusters: hosts(o.Clusters()),
	}
	for _, l := range o.Listeners() {
		s.Inbound[l.Name] = l.Inbound
		if l.Bound && s.Sockets[l.Name] == "" {
			s.Sockets[l.Name] = l.Address
		}
	}
	return s
}

// hosts are clusters as Envoy's pages tell of them.
func hosts(list []Cluster) []envoy.Cluster {
	out := make([]envoy.Cluster, len(list))
	for i, c := range list {
		out[i].Name = c.Name
		for _, e := range c.Endpoints {
			out[i].Hosts = append(out[i].Hosts, envoy.Host{
				Address: e.Address, Name: e.Name, Healthy: e.Healthy, Weight: e.Weight, Locality: e.Locality, Priority: e.Priority,
				Open: e.Open, Active: int64(e.Active), Connects: e.Connects, ConnectFailures: e.ConnectFailures, Requests: e.Requests, Failures: e.Failures,
			})
		}
	}
	return out
}

// conditions lists the defects, the way people read them.
func conditions(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := o.Config().Conditions
		if wantsJSON(r) {
			writeJSON(w, Conditions(list))
			return
		}
		if len(list) == 0 {
			writeText(w, "no conditions: the configuration is in force as written\n")
			return
		}
		var text []byte
		for _, c := range list {
			text = append(text, string(c.Severity)+" "+string(c.Reason)+" "+c.String()+"\n"...)
		}
		writeText(w, string(text))
	}
}
