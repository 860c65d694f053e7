package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/sluicegate/sluice/router"
)

// columns lays lines of tab-separated cells out as a table.
func columns(w http.ResponseWriter, fill func(io.Writer)) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fill(t)
	t.Flush()
	writeText(w, b.String())
}

// listeners shows the sockets.
func listeners(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := o.Listeners()
		if wantsJSON(r) {
			writeJSON(w, append([]Listener{}, list...))
			return
		}
		columns(w, func(t io.Writer) {
			fmt.Fprintln(t, "LISTENER\tADDRESS\tSTATE\tCONNECTIONS")
			for _, l := range list {
				state := "bound"
				if !l.Bound {
					state = "not bound: " + l.Error
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", l.Name, l.Address, state, l.Connections)
			}
		})
	}
}

// clusters shows the upstream side.
func clusters(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := o.Clusters()
		if wantsJSON(r) {
			writeJSON(w, append([]Cluster{}, list...))
			return
		}
		columns(w, func(t io.Writer) {
			fmt.Fprintln(t, "CLUSTER\tENDPOINT\tHEALTH\tACTIVE\tIDLE\tREQUESTS\tFAILURES")
			for _, c := range list {
				if len(c.Endpoints) == 0 {
					fmt.Fprintf(t, "%s\t-\tno endpoints\t\t\t\t\n", c.Name)
				}
				for _, e := range c.Endpoints {
					health := "healthy"
					if !e.Healthy {
						health = "unhealthy"
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", c.Name, e.Address, health, e.Active, e.Idle, e.Requests, e.Failures)
				}
			}
		})
	}
}

// routes shows each listener's virtual hosts and their routes, in order.
func routes(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		spec := o.Config().Spec
		if spec == nil {
			spec = &router.Spec{}
		}
		if wantsJSON(r) {
			writeJSON(w, append([]*router.Listener{}, spec.Listeners...))
			return
		}
		columns(w, func(t io.Writer) {
			fmt.Fprintln(t, "LISTENER\tTABLE\tDOMAINS\tROUTE\tMATCH\tACTION\tFROM")
			for _, l := range spec.Listeners {
				for _, table := range l.Tables {
					for _, v := range table.VirtualHosts {
						printRoutes(t, l.Name, table.Name, v)
					}
				}
			}
		})
	}
}

func printRoutes(t io.Writer, listener, table string, v *router.VirtualHost) {
	domains := strings.Join(v.Domains, ",")
	if v.RequireTLS {
		fmt.Fprintf(t, "%s\t%s\t%s\t-\tplaintext\tredirect to https\t\n", listener, table, domains)
	}
	for i, r := range v.Routes {
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("#%d", i)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", listener, table, domains, name, describeMatch(&r.Match), describeAction(r), describeOrigin(r.Origin))
	}
}
