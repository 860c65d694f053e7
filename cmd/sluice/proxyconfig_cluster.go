package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

type clusterRow struct {
	Name           string `json:"name"`
	FQDN           string `json:"fqdn"`
	Port           uint16 `json:"port"`
	Subset         string `json:"subset,omitempty"`
	Resolution     string `json:"resolution"`
	Balancer       string `json:"balancer"`
	ConnectTimeout string `json:"connectTimeout,omitempty"`
	// Policies are the cluster's, its balancer left out.
	Policies  []router.Policy `json:"policies,omitempty"`
	Endpoints int             `json:"endpoints"`
	// Live is what the proxy says of the endpoints; nil where files were read.
	Live   *liveCluster `json:"live,omitempty"`
	Origin ruleRef      `json:"origin,omitzero"`
}

// liveCluster counts a cluster's endpoints, and those in use.
type liveCluster struct {
	Endpoints int `json:"endpoints"`
	Healthy   int `json:"healthy"`
}

func newLiveCluster(c admin.Cluster) *liveCluster {
	live := &liveCluster{Endpoints: len(c.Endpoints)}
	for _, e := range c.Endpoints {
		if e.Healthy {
			live.Healthy++
		}
	}
	return live
}

func clusterRows(state proxyState, f filter) []clusterRow {
	var rows []clusterRow
	for _, c := range state.clusters(f) {
		r := clusterRow{
			Name: c.Name, FQDN: c.Host, Port: c.Port, Subset: c.Subset,
			Resolution: c.Resolution.String(), Balancer: c.Balancer.String(),
			Endpoints: len(c.Endpoints), Origin: state.rule(c.Origin),
		}
		if c.ConnectTimeout != 0 {
			r.ConnectTimeout = c.ConnectTimeout.String()
		}
		r.Policies = slices.DeleteFunc(c.Policies(), func(p router.Policy) bool { return p.Name == "balancer" })
		if live, ok := state.upstreams[c.Name]; ok {
			r.Live = newLiveCluster(live)
		}
		rows = append(rows, r)
	}
	return rows
}

func (r clusterRow) lines() [][]string {
	fqdn := r.FQDN
	if fqdn == "" {
		fqdn = r.Name
	}
	policies := make([]string, len(r.Policies))
	for i, p := range r.Policies {
		policies[i] = p.Name
	}
	endpoints, healthy := r.Endpoints, "-"
	if r.Live != nil {
		endpoints, healthy = r.Live.Endpoints, strconv.Itoa(r.Live.Healthy)
	}
	return [][]string{{
		fqdn, portText(r.Port), orDash(r.Subset), r.Resolution, r.Balancer, orDash(strings.Join(policies, ", ")),
		strconv.Itoa(endpoints), healthy, orDash(r.Origin.String()),
	}}
}

type endpointRow struct {
	Address  string            `json:"address"`
	Cluster  string            `json:"cluster"`
	Weight   uint32            `json:"weight"`
	Workload string            `json:"workload,omitempty"`
	Locality string            `json:"locality,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Live is what the proxy says of the endpoint; nil where files were read.
	Live *admin.Endpoint `json:"live,omitempty"`
}

func endpointRows(state proxyState, f filter) []endpointRow {
	byName := f
	byName.port = 0
	var rows []endpointRow
	for _, c := range state.clusters(byName) {
		for _, r := range state.endpoints(c) {
			if f.takesPort(c.Port, endpointPort(r.Address)) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// endpoints are those that the configuration names and, of a live proxy, those that
// it knows: names may have become addresses.
func (s proxyState) endpoints(c *router.Cluster) []endpointRow {
	configured := make([]endpointRow, len(c.Endpoints))
	for i, e := range c.Endpoints {
		configured[i] = endpointRow{
			Address: e.Address, Cluster: c.Name, Weight: max(e.Weight, 1),
			Workload: e.Workload, Locality: e.Locality, Labels: e.Labels,
		}
	}
	upstream, ok := s.upstreams[c.Name]
	if !ok {
		return configured
	}
	rows := make([]endpointRow, len(upstream.Endpoints))
	for i := range upstream.Endpoints {
		live := &upstream.Endpoints[i]
		rows[i] = endpointRow{Address: live.Address, Cluster: c.Name, Weight: 1}
		for _, r := range configured {
			if r.Address == live.Address || r.Address == live.Name {
				rows[i] = r
				rows[i].Address = live.Address
			}
		}
		rows[i].Live = live
	}
	return rows
}

func (r endpointRow) lines() [][]string {
	address, state := r.Address, "-"
	if r.Live != nil {
		if r.Live.Name != "" {
			address += " (" + r.Live.Name + ")"
		}
		state = "unhealthy"
		if r.Live.Healthy {
			state = "healthy"
		}
	}
	return [][]string{{address, state, r.Cluster, strconv.FormatUint(uint64(r.Weight), 10), orDash(r.Workload), orDash(r.Locality)}}
}

// endpointPort returns an endpoint's own port, 0 for a unix socket.
func endpointPort(address string) uint16 {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}

// clusters returns those that pass the filter, sorted by name.
func (s proxyState) clusters(f filter) []*router.Cluster {
	var found []*router.Cluster
	for _, c := range s.spec.Clusters {
		if f.takesName(c.Name) && f.takesPort(c.Port) && f.takesFQDN(c.Host) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *router.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return found
}
