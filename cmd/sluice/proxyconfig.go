package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

func newProxyConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "proxy-config",
		Aliases: []string{"pc"},
		Short:   "Show what a proxy serves: listeners, routes, clusters, endpoints or secrets",
		Long: `Show what a proxy serves, in the words of Istio and Envoy.

What is shown comes from a live process (--admin) or is made from files (--config),
exactly as the gateway or the sidecar would make it.`,
		Example: `  sluice proxy-config routes --config ./config --host bookinfo.example.com
  sluice pc endpoints --admin 127.0.0.1:15000 --fqdn reviews.default.svc.cluster.local`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return misusef("say what to show: listeners, routes, clusters, endpoints or secrets")
		},
	}
	cmd.AddCommand(
		newShowCommand(showVerb{
			noun: "listener", filters: []string{"name", "port"},
			header: []string{"LISTENER", "ADDRESS", "PORT", "MATCH", "DESTINATION", "VIRTUAL HOSTS", "STATE"},
		}, listenerRows),
		newShowCommand(showVerb{
			noun: "route", filters: []string{"name", "port", "host"},
			header: []string{"TABLE", "VIRTUAL HOST", "DOMAINS", "MATCH", "ACTION", "RULE"},
		}, routeRows),
		newShowCommand(showVerb{
			noun: "cluster", filters: []string{"name", "port", "fqdn"},
			header: []string{"FQDN", "PORT", "SUBSET", "RESOLUTION", "BALANCER", "POLICY", "ENDPOINTS", "HEALTHY", "MADE FROM"},
		}, clusterRows),
		newShowCommand(showVerb{
			noun: "endpoint", filters: []string{"name", "port", "fqdn"},
			header: []string{"ENDPOINT", "STATE", "CLUSTER", "WEIGHT", "WORKLOAD", "LOCALITY"},
		}, endpointRows),
		newShowCommand(showVerb{
			noun: "secret", filters: []string{"name"},
			header: []string{"NAME", "SOURCE", "TYPE", "SUBJECT", "NOT BEFORE", "NOT AFTER", "VALID", "USED BY"},
		}, secretRows),
	)
	return cmd
}

// showVerb describes one noun of proxy-config.
type showVerb struct {
	noun    string
	filters []string
	header  []string
}

// row is some lines of a table and a value for programs at once.
type row interface{ lines() [][]string }

// filter is what the user asked to see; a zero field lets everything pass.
type filter struct {
	name string
	port uint16
	host string
	fqdn string
}

func (f filter) takesPort(ports ...uint16) bool { return f.port == 0 || slices.Contains(ports, f.port) }
func (f filter) takesName(names ...string) bool {
	return f.name == "" || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, f.name) })
}

// takesHost compares as routing does: a wildcard domain takes the hosts under it.
func (f filter) takesHost(domains []string) bool {
	return f.host == "" || slices.ContainsFunc(domains, func(d string) bool {
		d = strings.ToLower(d)
		host := strings.ToLower(f.host)
		suffix, wild := strings.CutPrefix(d, "*")
		return d == host || wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	})
}

// takesFQDN accepts a short name for the service of that name in any namespace.
func (f filter) takesFQDN(host string) bool {
	return f.fqdn == "" || host == f.fqdn || strings.HasPrefix(host, f.fqdn+".")
}

// newShowCommand makes `proxy-config listeners` and its like.
func newShowCommand[R row](v showVerb, rows func(proxyState, filter) []R) *cobra.Command {
	cmd := &cobra.Command{
		Use:     v.noun + "s",
		Aliases: []string{v.noun},
		Short:   "Show the " + v.noun + "s of a proxy",
		Args:    cobra.NoArgs,
	}
	from := addSourceFlags(cmd)
	out := addFormatFlag(cmd)
	var f filter
	for _, name := range v.filters {
		switch name {
		case "name":
			cmd.Flags().StringVar(&f.name, "name", "", "only those whose name contains `TEXT`")
		case "port":
			cmd.Flags().Uint16Var(&f.port, "port", 0, "only those of this `PORT`")
		case "host":
			cmd.Flags().StringVar(&f.host, "host", "", "only the virtual hosts that claim this `HOST`")
		case "fqdn":
			cmd.Flags().StringVar(&f.fqdn, "fqdn", "", "only those of this service, `NAME`; a short one will do")
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := from.load(cmd)
		if err != nil {
			return err
		}
		found := rows(state, f)
		if *out != formatText {
			if found == nil {
				found = []R{}
			}
			return out.encode(cmd.OutOrStdout(), found)
		}
		writeRows(cmd, v, found)
		return nil
	}
	return cmd
}

func writeRows[R row](cmd *cobra.Command, v showVerb, rows []R) {
	if len(rows) == 0 {
		cmd.PrintErrf("no such %s\n", v.noun)
		return
	}
	table := make([][]cell, 0, len(rows)+1)
	head := plain(v.header...)
	for i := range head {
		head[i].ink = inkBold
	}
	table = append(table, head)
	for _, r := range rows {
		for _, line := range r.lines() {
			table = append(table, plain(line...))
		}
	}
	writeTable(cmd.OutOrStdout(), newPainter(cmd.OutOrStdout()), "", table)
}

type routeRow struct {
	Listener     string           `json:"listener"`
	Table        string           `json:"table"`
	Port         uint16           `json:"port,omitempty"`
	VirtualHost  string           `json:"virtualHost"`
	Domains      []string         `json:"domains"`
	Route        string           `json:"route,omitempty"`
	Match        string           `json:"match"`
	Action       string           `json:"action"`
	Destinations []destinationRow `json:"destinations,omitempty"`
	Rule         ruleRef          `json:"rule,omitzero"`
}

type destinationRow struct {
	Cluster string `json:"cluster"`
	Weight  uint32 `json:"weight"`
}

func routeRows(state proxyState, f filter) []routeRow {
	var rows []routeRow
	for _, l := range state.spec.Listeners {
		for _, t := range l.RouteTables() {
			if !f.takesName(t.Name) || !f.takesPort(t.Port, l.Port) {
				continue
			}
			for _, vh := range t.VirtualHosts {
				if f.takesHost(vh.Domains) {
					rows = append(rows, virtualHostRows(state, l, t, vh)...)
				}
			}
		}
	}
	return rows
}

// virtualHostRows gives a row for each route, or one that says there is none.
func virtualHostRows(state proxyState, l *router.Listener, t *router.RouteTable, vh *router.VirtualHost) []routeRow {
	base := routeRow{Listener: l.Name, Table: t.Name, Port: t.Port, VirtualHost: vh.Name, Domains: vh.Domains}
	if vh.RequireTLS {
		base.Match, base.Action = "any request", "301 to https"
		return []routeRow{base}
	}
	if len(vh.Routes) == 0 {
		base.Match, base.Action = "any request", "404"
		return []routeRow{base}
	}
	rows := make([]routeRow, len(vh.Routes))
	for i, r := range vh.Routes {
		rows[i] = base
		rows[i].Route, rows[i].Match, rows[i].Action = r.Name, r.Match.String(), r.Action()
		rows[i].Rule = state.rule(r.Origin)
		for _, d := range r.Destinations {
			rows[i].Destinations = append(rows[i].Destinations, destinationRow{d.Cluster, d.Weight})
		}
	}
	return rows
}

func (r routeRow) lines() [][]string {
	return [][]string{{r.Table, r.VirtualHost, abbreviate(r.Domains), r.Match, r.Action, orDash(r.Rule.String())}}
}

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
			if r.Address == live.Address {
				rows[i] = r
			}
		}
		rows[i].Live = live
	}
	return rows
}

func (r endpointRow) lines() [][]string {
	state := "-"
	if r.Live != nil {
		state = "unhealthy"
		if r.Live.Healthy {
			state = "healthy"
		}
	}
	return [][]string{{r.Address, state, r.Cluster, strconv.FormatUint(uint64(r.Weight), 10), orDash(r.Workload), orDash(r.Locality)}}
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

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func portText(port uint16) string {
	if port == 0 {
		return "-"
	}
	return strconv.Itoa(int(port))
}

// abbreviate keeps a table readable where a mesh host has a dozen spellings.
func abbreviate(domains []string) string {
	const shown = 2
	if len(domains) <= shown {
		return strings.Join(domains, ",")
	}
	return strings.Join(domains[:shown], ",") + " +" + strconv.Itoa(len(domains)-shown)
}
