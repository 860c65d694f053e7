package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/telemetry/recent"
)

// statValue is one number of /stats, under its name in Envoy.
type statValue struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// stats shows numbers as Envoy's page has them: "name: value", ?filter= an expression,
// ?usedonly without what is 0, ?format=json or prometheus.
func stats(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("format") == "prometheus" && o.Metrics != nil {
			o.Metrics.ServeHTTP(w, r)
			return
		}
		filter, err := regexp.Compile(q.Get("filter"))
		if err != nil {
			writeProblem(w, http.StatusBadRequest, fmt.Sprintf("filter %q: %v", q.Get("filter"), err))
			return
		}
		list := slices.DeleteFunc(collectStats(o), func(s statValue) bool {
			return !filter.MatchString(s.Name) || q.Has("usedonly") && s.Value == 0
		})
		slices.SortStableFunc(list, func(a, b statValue) int { return cmp.Compare(a.Name, b.Name) })
		if wantsJSON(r) {
			writeJSON(w, map[string][]statValue{"stats": append([]statValue{}, list...)})
			return
		}
		var b strings.Builder
		for _, s := range list {
			fmt.Fprintf(&b, "%s: %d\n", s.Name, s.Value)
		}
		writeText(w, b.String())
	}
}

// collectStats returns the numbers of the server, its listeners, clusters and routes.
func collectStats(o Options) []statValue {
	list := serverStats(o)
	add := func(name string, value uint64) { list = append(list, statValue{name, value}) }
	if o.Listeners != nil {
		active := uint64(0)
		for _, l := range o.Listeners() {
			add("listener."+strings.ReplaceAll(l.Address, ":", "_")+".downstream_cx_active", uint64(l.Connections))
			if l.Bound {
				active++
			}
		}
		add("listener_manager.total_listeners_active", active)
	}
	if o.Clusters != nil {
		clusters := o.Clusters()
		add("cluster_manager.active_clusters", uint64(len(clusters)))
		for _, c := range clusters {
			for _, s := range c.Stats {
				add("cluster."+c.Name+"."+s.Name, s.Value)
			}
		}
	}
	if o.Recent != nil {
		for _, c := range o.Recent.Routes() {
			list = append(list, routeStats(&c)...)
		}
	}
	return list
}

func serverStats(o Options) []statValue {
	m := readMemory()
	live := uint64(1)
	if o.Ready() != nil {
		live = 0
	}
	c := o.Config()
	return []statValue{
		{"server.live", live},
		{"server.uptime", uint64(time.Since(o.Info.Started).Seconds())},
		{"server.concurrency", uint64(runtime.GOMAXPROCS(0))},
		{"server.memory_allocated", m.Allocated},
		{"server.memory_heap_size", m.HeapSize},
		{"server.memory_physical_size", m.TotalPhysicalBytes},
		{"config.generation", c.Generation},
		{"config.conditions", uint64(len(c.Conditions))},
	}
}

// routeStats are a route's numbers, under the names of Envoy's virtual host statistics.
func routeStats(c *recent.RouteCounts) []statValue {
	name := c.Name
	if name == "" {
		name = cmp.Or(c.Rule.String(), "none")
	}
	prefix := "vhost." + cmp.Or(c.VirtualHost, "none") + ".route." + name + "."
	if c.Cluster != "" {
		prefix += "cluster." + c.Cluster + "."
	}
	list := []statValue{{prefix + "upstream_rq_total", c.Requests()}}
	for class, n := range c.Classes {
		if class > 0 {
			list = append(list, statValue{fmt.Sprintf("%supstream_rq_%dxx", prefix, class), n})
		}
	}
	return append(list, statValue{prefix + "upstream_rq_failed", c.Failed})
}

// RouteStats is what /stats/routes answers.
type RouteStats struct {
	// Time is when it was looked: the difference of two looks is a rate.
	Time   time.Time            `json:"time"`
	Routes []recent.RouteCounts `json:"routes"`
}

// routesByTraffic shows what each route took, the busiest first.
func routesByTraffic(r *recent.Recorder) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, RouteStats{Time: time.Now(), Routes: append([]recent.RouteCounts{}, r.Routes()...)})
	}
}
