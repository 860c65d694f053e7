package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/sluicegate/sluice/admin/envoy"
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
		switch {
		case r.URL.Query().Get("format") == "sluice":
			writeJSON(w, append([]Cluster{}, list...))
			return
		case wantsJSON(r):
			writeJSON(w, envoy.Clusters(o.Config().Spec, hosts(list)))
			return
		}
		var text strings.Builder
		for _, c := range list {
			printCluster(&text, c)
		}
		writeText(w, text.String())
	}
}

// printCluster prints a cluster in the lines of Envoy's page, "name::address::what::value".
func printCluster(w io.Writer, c Cluster) {
	fmt.Fprintf(w, "%s::balancer::%s\n", c.Name, c.Balancer)
	for _, s := range c.Stats {
		fmt.Fprintf(w, "%s::%s::%d\n", c.Name, s.Name, s.Value)
	}
	for _, e := range c.Endpoints {
		line := func(what string, value any) { fmt.Fprintf(w, "%s::%s::%s::%v\n", c.Name, e.Address, what, value) }
		if e.Name != "" {
			line("hostname", e.Name)
		}
		line("cx_active", e.Open)
		line("cx_connect_fail", e.ConnectFailures)
		line("cx_total", e.Connects)
		line("rq_active", e.Active)
		line("rq_error", e.Failures)
		line("rq_total", e.Requests)
		health := "healthy"
		if !e.Healthy {
			health = "/failed_outlier_check"
		}
		line("health_flags", health)
		line("ejections", e.Ejections)
		line("weight", e.Weight)
		place := append(strings.SplitN(e.Locality, "/", 3), "", "")
		for i, what := range []string{"region", "zone", "sub_zone"} {
			line(what, place[i])
		}
		line("priority", e.Priority)
		line("share", fmt.Sprintf("%.1f", e.Share))
	}
}

// routes shows each listener's virtual hosts and their routes, in order, and the streams.
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
				for _, table := range l.RouteTables() {
					for _, v := range table.VirtualHosts {
						printRoutes(t, l.Name, table.Name, v)
					}
				}
				for _, c := range l.Chains {
					printStreams(t, l.Name, c)
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
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", listener, table, domains, name, DescribeMatch(&r.Match), DescribeAction(r), DescribeOrigin(r.Origin()))
	}
}

// printStreams prints where a chain's bytes go.
func printStreams(t io.Writer, listener string, c *router.Chain) {
	for i, s := range c.Streams {
		name := s.Name
		if name == "" {
			name = fmt.Sprintf("#%d", i)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", listener, c.Name, strings.Join(c.ServerNames, ","), name, s.Match(), s.Action(), DescribeOrigin(s.Origin))
	}
}
