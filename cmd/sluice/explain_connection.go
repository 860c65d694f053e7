package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/router"
)

// connectionView is what becomes of a connection, and why.
type connectionView struct {
	// ServerName is the name that counted, Domain the server's that stands for it.
	// Plaintext tells that nobody looked for one.
	Plaintext  bool   `json:"plaintext,omitempty"`
	ServerName string `json:"serverName,omitempty"`
	Domain     string `json:"domain,omitempty"`
	// Chain is the name of the server's chain, and Rule where the server stands; both are
	// empty where none takes the connection. Mode and TLS say what becomes of TLS.
	Chain string  `json:"chain,omitempty"`
	Rule  ruleRef `json:"rule,omitzero"`
	Mode  string  `json:"mode,omitempty"`
	TLS   string  `json:"tls,omitempty"`
	// IdleTimeout is that of bytes.
	IdleTimeout string `json:"idleTimeout,omitempty"`
	// Others are the chains that did not take it, and then the routes of its chain that did
	// not. Of many chains, OthersOmitted are left out.
	Others        []chainMissView `json:"others,omitempty"`
	OthersOmitted int             `json:"othersOmitted,omitempty"`
	EarlierRoutes []chainMissView `json:"earlierRoutes,omitempty"`
}

// chainMissView is a chain or a route of bytes that did not take the connection, and why.
type chainMissView struct {
	Name   string  `json:"name,omitempty"`
	Rule   ruleRef `json:"rule,omitzero"`
	Reason string  `json:"reason"`
}

// explained explains the call, with its connection where that decides anything, and returns
// its request as the router takes it then: nil where there is none.
func (c *call) explained(state proxyState, table *router.Table, listener string, port uint16) (*router.Request, *router.Explanation) {
	connection := c.connection(listener)
	if c.bytes() {
		return nil, &router.Explanation{Connection: table.ExplainConnection(connection)}
	}
	request := c.request(listener, port)
	forward.Seen(request, state.sidecar, state.trustedHops)
	if !table.HasChains(listener) {
		return request, table.Explain(request)
	}
	why := table.ExplainOn(connection, request)
	request.Chain = why.Chain
	return request, why
}

// connect fills in what becomes of the call's connection.
func (e *explanation) connect(state proxyState, table *router.Table, why *router.ConnectionExplanation) {
	e.Listener = why.Listener
	v := &connectionView{Plaintext: why.Plaintext, ServerName: why.ServerName, Domain: why.Domain, OthersOmitted: why.OthersOmitted}
	e.Connection = v
	if c := why.Chain; c != nil {
		v.Chain, v.Rule, v.Mode, v.TLS = c.Name, state.rule(c.Origin), c.Mode, c.TLS
	}
	for _, m := range why.Others {
		v.Others = append(v.Others, chainMissView{m.Name, state.rule(m.Origin), m.Reason})
	}
	for _, m := range why.EarlierStreams {
		v.EarlierRoutes = append(v.EarlierRoutes, chainMissView{m.Name, state.rule(m.Origin), m.Reason})
	}
	switch why.Outcome {
	case router.ConnectionNoChain:
		e.Error, e.Hint = "reset", connectionHint(&e.Request, why)
		if e.Request.Scheme == "http" {
			e.Error, e.Status = "", http.StatusBadRequest
		}
	case router.ConnectionNoStream:
		e.Error, e.Hint = "closed", connectionHint(&e.Request, why)
	case router.ConnectionStream:
		e.carry(state, table, why.Stream)
	}
}

// carry fills in where the connection's bytes go.
func (e *explanation) carry(state proxyState, table *router.Table, stream *router.ExplainedStream) {
	chain := table.NamedChain(e.Listener, e.Connection.Chain)
	compiled := chain.Stream(e.Request.address)
	e.Route, e.Match, e.Rule = stream.Name, stream.Match, state.rule(stream.Origin)
	e.Connection.IdleTimeout = stream.IdleTimeout
	if !e.addDestinations(table, compiled.Destinations, func(view *destinationView, _ *router.CompiledDestination) { view.bytes = true }) {
		e.Error = "closed"
	}
}

// served describes the chain that took the connection, as rows of a table.
func (v *connectionView) served(add func(name, value string)) {
	add("Server", strings.TrimSpace(v.Chain+"  "+v.Rule.String()))
	switch {
	case v.Plaintext:
	case v.Domain != "" && v.Domain != v.ServerName:
		add("Server name", fmt.Sprintf("%s (by %s)", orNone(v.ServerName), v.Domain))
	default:
		add("Server name", orNone(v.ServerName))
	}
	switch {
	case v.TLS != "":
		add("TLS", v.TLS)
	case v.Mode == "PASSTHROUGH" || v.Mode == "AUTO_PASSTHROUGH":
		add("TLS", v.Mode+": the upstream ends it")
	}
}

// ends says where a connection of bytes ends that is served requests.
func (v *connectionView) ends() string {
	if v.TLS != "" {
		return "TLS ends here, and requests are routed: ask about one with https://"
	}
	return "requests are routed: ask about one with http://"
}

func orNone(serverName string) string {
	if serverName == "" {
		return "none sent"
	}
	return serverName
}

// writeMisses lists the servers and routes that did not take the connection.
func (v *connectionView) writeMisses(w io.Writer, p painter) {
	write := func(title string, misses []chainMissView) {
		if len(misses) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, title))
		for _, m := range misses {
			fmt.Fprintf(w, "  %s\n    %s\n", strings.TrimSpace(m.Name+"  "+m.Rule.String()), m.Reason)
		}
	}
	write("Routes before it, and why they do not take the connection", v.EarlierRoutes)
	write("Other servers of the port, and why they do not take the connection", v.Others)
	if v.OthersOmitted > 0 {
		fmt.Fprintf(w, "  and %s\n", count(v.OthersOmitted, "more server"))
	}
}
