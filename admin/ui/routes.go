package ui

import (
	"strconv"
	"strings"
	"sync"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

// Route is a rule as it is configured.
type Route struct {
	// ID tells it from the others: see RouteID.
	ID       string   `json:"id"`
	Listener string   `json:"listener"`
	Table    string   `json:"table"`
	Host     string   `json:"host"`
	Domains  []string `json:"domains"`
	Name     string   `json:"name"`
	// Match and Action are lines for people.
	Match  string `json:"match"`
	Action string `json:"action"`
	// Destinations are where it sends requests to; none where it answers by itself.
	Destinations []Destination `json:"destinations,omitempty"`
	Origin       string        `json:"origin,omitempty"`
}

// Destination is a share of a route's traffic as it is configured.
type Destination struct {
	Cluster string `json:"cluster"`
	Weight  uint32 `json:"weight"`
	// Host, Subset and Port are the cluster's; Missing says that there is no such cluster.
	Host    string `json:"host,omitempty"`
	Subset  string `json:"subset,omitempty"`
	Port    uint16 `json:"port,omitempty"`
	Missing bool   `json:"missing,omitempty"`
}

// RouteID returns the id of a virtual host's route: where it stands, and where it was made
// from.
func RouteID(listener, host, name string, origin router.Origin) string {
	return strings.Join([]string{listener, host, origin.String(), name}, "|")
}

// source makes states. The routes are written anew only when the configuration changes.
type source struct {
	o Options

	mu     sync.Mutex
	spec   *router.Spec
	listed []Route
}

func (s *source) routes(spec *router.Spec) []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spec != spec || s.listed == nil {
		s.spec, s.listed = spec, listRoutes(spec)
	}
	return s.listed
}

func listRoutes(spec *router.Spec) []Route {
	list := []Route{}
	if spec == nil {
		return list
	}
	known := make(map[string]*router.Cluster, len(spec.Clusters))
	for _, c := range spec.Clusters {
		known[c.Name] = c
	}
	for _, l := range spec.Listeners {
		for _, table := range l.RouteTables() {
			for _, v := range table.VirtualHosts {
				for _, r := range v.Routes {
					list = append(list, Route{
						ID: RouteID(l.Name, v.Name, r.Name, r.Origin()), Listener: l.Name, Table: table.Name, Host: v.Name, Domains: v.Domains,
						Name: r.Name, Match: admin.DescribeMatch(&r.Match), Action: admin.DescribeAction(r), Origin: admin.DescribeOrigin(r.Origin()),
						Destinations: destinations(r, known),
					})
				}
			}
		}
	}
	return list
}

func destinations(r *router.Route, known map[string]*router.Cluster) []Destination {
	var list []Destination
	for _, d := range r.Destinations {
		out := Destination{Cluster: d.Cluster, Weight: d.Weight}
		if c := known[d.Cluster]; c != nil {
			out.Host, out.Subset, out.Port = c.Host, c.Subset, c.Port
		} else {
			out.Missing = true
			out.Host, out.Subset, out.Port = partsOf(d.Cluster)
		}
		list = append(list, out)
	}
	return list
}

// partsOf reads what a cluster's name, "outbound|9080|v1|reviews.default.svc.cluster.local", says
// of it; nothing where it is not of that form.
func partsOf(cluster string) (host, subset string, port uint16) {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 {
		return "", "", 0
	}
	n, _ := strconv.ParseUint(parts[1], 10, 16)
	return parts[3], parts[2], uint16(n)
}
