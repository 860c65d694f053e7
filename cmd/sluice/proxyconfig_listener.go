package main

import (
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

type listenerRow struct {
	Name      string   `json:"name"`
	Address   string   `json:"address,omitempty"`
	Port      uint16   `json:"port,omitempty"`
	NodePorts []uint16 `json:"nodePorts,omitempty"`
	// Tables are the listener's own, Chains what becomes of its connections where it has
	// servers that are told apart.
	Tables       []tableRow `json:"tables"`
	Chains       []chainRow `json:"chains,omitempty"`
	VirtualHosts int        `json:"virtualHosts"`
	// Live is what the proxy says of the socket; nil where files were read.
	Live *admin.Listener `json:"live,omitempty"`
}

type tableRow struct {
	Name string `json:"name"`
	Port uint16 `json:"port,omitempty"`

	virtualHosts int
}

type chainRow struct {
	Name        string   `json:"name"`
	Port        uint16   `json:"port,omitempty"`
	ServerNames []string `json:"serverNames,omitempty"`
	// Mode is as in a Gateway, or PLAINTEXT; TLS says with what it is served.
	Mode string `json:"mode"`
	TLS  string `json:"tls,omitempty"`
	// Match and Destination are as istioctl prints them.
	Match       string    `json:"match"`
	Destination string    `json:"destination"`
	Table       *tableRow `json:"table,omitempty"`
	Origin      ruleRef   `json:"origin,omitzero"`
}

// listenerRows keeps of listeners that have another name only the tables and chains asked
// for.
func listenerRows(state proxyState, f filter) []listenerRow {
	var rows []listenerRow
	for _, l := range state.spec.Listeners {
		r := listenerRow{Name: l.Name, Address: l.Address, Port: l.Port, NodePorts: l.NodePorts, Tables: []tableRow{}}
		if socket, ok := state.sockets[l.Name]; ok {
			r.Live = &socket
		}
		all := f.takesName(l.Name)
		for _, t := range l.Tables {
			if all || f.takesName(t.Name) {
				r.Tables = append(r.Tables, newTableRow(t))
				r.VirtualHosts += len(t.VirtualHosts)
			}
		}
		for _, c := range l.Chains {
			if !all && !f.takesName(append([]string{c.Name}, c.ServerNames...)...) {
				continue
			}
			r.Chains = append(r.Chains, newChainRow(state, c))
			if c.Table != nil {
				r.VirtualHosts += len(c.Table.VirtualHosts)
			}
		}
		ports := append(append([]uint16{l.Port}, l.NodePorts...), l.CalledPorts()...)
		if (all || len(r.Tables)+len(r.Chains) > 0) && f.takesPort(ports...) {
			rows = append(rows, r)
		}
	}
	return rows
}

func newTableRow(t *router.RouteTable) tableRow {
	return tableRow{Name: t.Name, Port: t.Port, virtualHosts: len(t.VirtualHosts)}
}

func newChainRow(state proxyState, c *router.Chain) chainRow {
	r := chainRow{
		Name: c.Name, Port: c.CalledPort(), ServerNames: c.ServerNames, Mode: c.Mode(),
		Match: c.Match(), Destination: c.Action(), Origin: state.rule(c.Origin),
	}
	if c.TLS != nil {
		r.TLS = c.TLS.String()
	}
	if c.Table != nil {
		table := newTableRow(c.Table)
		r.Table = &table
	}
	return r
}

// lines gives one for each route table and chain.
func (r listenerRow) lines() [][]string {
	ports := []string{portText(r.Port)}
	for _, p := range r.NodePorts {
		ports = append(ports, portText(p))
	}
	address, state := orDash(r.Address), "-"
	switch {
	case r.Live != nil && r.Live.Bound:
		address, state = r.Live.Address, "bound"
	case r.Live != nil:
		address, state = r.Live.Address, "not bound: "+r.Live.Error
	}
	var lines [][]string
	add := func(match, destination, virtualHosts string) {
		lines = append(lines, []string{r.Name, address, strings.Join(ports, ","), match, destination, virtualHosts, state})
	}
	for _, t := range r.Tables {
		match := "ALL"
		if len(r.Tables) > 1 {
			match = "Port: *"
			if t.Port != 0 {
				match = "Port: " + portText(t.Port)
			}
		}
		add(match, "Route: "+t.Name, strconv.Itoa(t.virtualHosts))
	}
	for _, c := range r.Chains {
		virtualHosts := "-"
		if c.Table != nil {
			virtualHosts = strconv.Itoa(c.Table.virtualHosts)
		}
		add(c.Match, c.Destination, virtualHosts)
	}
	if len(lines) == 0 {
		add("-", "-", "-")
	}
	return lines
}
