package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

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
		rows[i].Rule = state.rule(r.Origin())
		for _, d := range r.Destinations {
			rows[i].Destinations = append(rows[i].Destinations, destinationRow{d.Cluster, d.Weight})
		}
	}
	return rows
}

func (r routeRow) lines() [][]string {
	return [][]string{{r.Table, r.VirtualHost, abbreviate(r.Domains), r.Match, r.Action, orDash(r.Rule.String())}}
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
