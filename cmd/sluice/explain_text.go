package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// writeText prints an explanation for people, from the outside in: the outcome, the
// way to it, and then the rules that were passed by.
func (e explanation) writeText(w io.Writer) {
	p := newPainter(w)
	c := e.Request
	fmt.Fprintln(w, c.String())
	summary, colour := e.summary()
	fmt.Fprintf(w, "=> %s\n", p.paint(colour, summary))

	var rows [][]cell
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []cell{{name, inkBold}, {text: value}})
		}
	}
	add("Listener", e.Listener)
	if e.Connection != nil {
		e.Connection.served(add)
	}
	add("Route table", e.Table)
	add("Virtual host", e.virtualHost())
	if e.Rule.Kind != "" || e.Match != "" {
		add("Route", strings.TrimSpace(e.Route+"  "+e.Rule.String()))
		add("Match", e.Match)
	}
	if e.Path != e.Request.Path {
		add("Path", e.Path)
	}
	if e.Authority != e.Request.Authority {
		add("Authority", e.Authority)
	}
	add("Timeout", e.Timeout)
	if e.Connection != nil {
		add("Idle timeout", e.Connection.IdleTimeout)
	}
	for _, policy := range e.Policies {
		add(policyTitles[policy.Name], policy.Text)
	}
	add("Body", e.Body)
	if len(rows) > 0 {
		fmt.Fprintln(w)
	}
	writeTable(w, p, "", rows)

	e.writeDestinations(w, p)
	e.writeMisses(w, p)
	if e.Connection != nil {
		e.Connection.writeMisses(w, p)
	}
	if e.Hint != "" {
		fmt.Fprintf(w, "\n%s\n", p.paint(inkYellow, "Hint: "+e.Hint))
	}
}

// String names the call in a line.
func (c *call) String() string {
	text := fmt.Sprintf("%s://%s%s", c.Scheme, c.Authority, c.Path)
	if c.Method != "" {
		text = c.Method + " " + text
	}
	text += fmt.Sprintf(" on port %d", c.Port)
	if c.tls() && c.ServerName != router.NormalizeHost(c.Authority) {
		text += ", server name " + orNone(c.ServerName)
	}
	return text
}

// policyTitles are the names of a route's policies as rows have them.
var policyTitles = map[string]string{"cors": "CORS", "fault": "Fault", "mirror": "Mirror", "retry": "Retry", "sources": "Sources", "request body": "Body",
	"limit": "Limit", "idle timeout": "Idle timeout"}

// summary is the outcome in a line.
func (e explanation) summary() (string, ink) {
	switch {
	case e.Error == "refused":
		return "connection refused: nothing listens on that port", inkRed
	case e.Error == "reset":
		return "connection reset: no server takes it", inkRed
	case e.Error == "closed" && len(e.Destinations) > 0:
		return "connection closed (NC: no such cluster)", inkRed
	case e.Error == "closed":
		return "connection closed: its server has no route for it", inkRed
	case e.Connection != nil && e.Request.bytes() && len(e.Destinations) == 0:
		return e.Connection.ends(), inkGreen
	case e.Error == "not-found":
		return "404 (NR: no route)", inkRed
	case e.Error == "https-redirect":
		return "301 to " + e.RedirectsTo + ", before any route (httpsRedirect)", inkYellow
	case e.Status == http.StatusMisdirectedRequest && e.Misdirected != "":
		return "421 (Misdirected Request)", inkRed
	case e.Status == 503 && len(e.Destinations) > 0:
		return "503 (NC: no such cluster)", inkRed
	case e.Location != "":
		return fmt.Sprintf("%d to %s", e.Status, e.Location), inkYellow
	case e.Status != 0:
		return fmt.Sprintf("%d, answered by the proxy itself", e.Status), inkYellow
	case e.live && !slices.ContainsFunc(e.Destinations, destinationView.alive):
		if e.Destinations[0].bytes {
			return "connection closed (UH: no endpoints)", inkRed
		}
		return "503 (UH: no endpoints)", inkRed
	}
	text := "forwarded to " + e.Destinations[0].Cluster
	if n := len(e.Destinations); n > 1 {
		text = fmt.Sprintf("forwarded to one of %d destinations", n)
	}
	if e.Misdirected != "" {
		return text + ", or 421", inkYellow
	}
	return text, inkGreen
}

func (e explanation) virtualHost() string {
	if e.VirtualHost == "" {
		return ""
	}
	return e.VirtualHost + " (domain " + e.Domain + ")"
}

func (e explanation) writeDestinations(w io.Writer, p painter) {
	if len(e.Destinations) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, "Destinations"))
	for _, d := range e.Destinations {
		fmt.Fprintf(w, "  %4s  %s\n", d.Share, d.Cluster)
		if d.Live != nil && len(d.Live.Endpoints) > 0 {
			d.Live.write(w, p)
		} else {
			fmt.Fprintf(w, "        %s\n", d.endpoints(p))
		}
		if d.Authority != "" && d.Authority != e.Authority {
			fmt.Fprintf(w, "        authority: %s\n", d.Authority)
		}
		for _, policy := range d.Policies {
			fmt.Fprintf(w, "        %s: %s\n", policy.Name, policy.Text)
		}
		writeHeaders(w, "request", d.RequestHeaders)
		writeHeaders(w, "response", d.ResponseHeaders)
	}
}

// alive says whether anybody serves a destination.
func (d destinationView) alive() bool {
	return len(d.Endpoints) > 0 || d.Resolution == router.ResolutionOriginal.String()
}

// endpoints says who serves a destination, in a line.
func (d destinationView) endpoints(p painter) string {
	const shown = 8
	switch {
	case d.Missing && d.bytes:
		return p.paint(inkRed, "no such service, port or subset: the connection is closed (NC)")
	case d.Missing:
		return p.paint(inkRed, "no such service, port or subset: answered 503 (NC)")
	case !d.alive() && d.bytes:
		return p.paint(inkYellow, "no endpoints here; where a proxy knows none it closes the connection (UH)")
	case !d.alive():
		return p.paint(inkYellow, "no endpoints here; where a proxy knows none it answers 503 (UH)")
	case len(d.Endpoints) == 0:
		return "to the address that was called"
	case len(d.Endpoints) > shown:
		return strings.Join(d.Endpoints[:shown], ", ") + fmt.Sprintf(" and %d more", len(d.Endpoints)-shown)
	}
	return strings.Join(d.Endpoints, ", ")
}

func writeHeaders(w io.Writer, which string, changes []headerView) {
	for _, h := range changes {
		line := h.Change + " " + h.Name
		if h.Change != "remove" {
			line += ": " + h.Value
		}
		fmt.Fprintf(w, "        %s headers: %s\n", which, line)
	}
}

// writeMisses lists the rules that were passed by, and on a miss the nearest first.
func (e explanation) writeMisses(w io.Writer, p painter) {
	title := "Rules before it, and why they did not match"
	others := e.Earlier
	if e.Nearest != nil {
		fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, "Nearest miss"))
		e.Nearest.write(w)
		title = "Other rules, and why they did not match"
		others = slices.DeleteFunc(slices.Clone(others), func(m missView) bool { return m.Rule == e.Nearest.Rule })
	}
	if len(others) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, title))
	for _, m := range others {
		m.write(w)
	}
}

func (m missView) write(w io.Writer) {
	fmt.Fprintf(w, "  %s\n", strings.TrimSpace(m.Route+"  "+m.Rule.String()))
	for _, f := range m.Failed {
		fmt.Fprintf(w, "    %s\n", f)
	}
}
