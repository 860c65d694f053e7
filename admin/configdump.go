package admin

import (
	"net/http"
	"time"

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
	return func(w http.ResponseWriter, _ *http.Request) {
		c := o.Config()
		writeJSON(w, Dump{
			Info:       o.Info,
			Generation: c.Generation,
			Updated:    c.Updated,
			Spec:       c.Spec,
			Conditions: Conditions(c.Conditions),
		})
	}
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
