package main

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin"
	because "github.com/sluicegate/sluice/admin/why"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

func newExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [--config PATH | --admin ADDR] URL [-X METHOD] [-H 'Name: value']...",
		Short: "Say where a request or a connection would go, and why",
		Long: `Say where a request would go, and why: which listener, virtual host and rule take it,
what is changed on the way, which endpoints get it, and for every rule before that one
why it did not match. For a request that nothing takes: the rule that came nearest and
what it lacks.

Of https:// it says which server takes the connection by the TLS server name, and why
the others do not. tcp://HOST:PORT and tls://NAME:PORT ask about a connection alone.

The answer comes from the same code that routes requests.`,
		Example: `  sluice explain --config ./config http://bookinfo.example.com/productpage
  sluice explain --config ./config http://127.0.0.1:8080/ -H 'Host: bookinfo.example.com' --port 80
  sluice explain --config ./config --workload-labels app=productpage http://reviews:9080/reviews/0 -H 'end-user: jason'
  sluice explain --config ./config https://shop.example.com/ --sni www.example.com
  sluice explain --config ./config tcp://127.0.0.1:6379`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misusef("name one URL")
			}
			return nil
		},
	}
	from := addSourceFlags(cmd)
	out := addFormatFlag(cmd)
	method := cmd.Flags().StringP("request", "X", http.MethodGet, "the request's `METHOD`")
	headers := cmd.Flags().StringArrayP("header", "H", nil, "a `HEADER`, 'Name: value' (repeatable); Host replaces the URL's")
	port := cmd.Flags().Uint16("port", 0, "the Gateway's `PORT` (default: the URL's, else 80 or 443; of a sidecar, the authority's)")
	sni := cmd.Flags().String("sni", "", "the TLS server `NAME` that the client sends (default: the URL's host, unless that is an address)")
	hops := cmd.Flags().Int("trusted-hops", 0, "the gateway's --trusted-hops: with `N` of them, x-forwarded-proto and x-forwarded-for count")
	alpn := cmd.Flags().StringSlice("alpn", nil, "the `PROTOCOLS` that the client offers by ALPN (default h2,http/1.1 of https, none of tls)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		state, err := from.load(cmd)
		if err != nil {
			return err
		}
		if state.trustedHops = *hops; *hops < 0 {
			return misusef("--trusted-hops %d: must not be negative", *hops)
		}
		c, err := parseCall(*method, args[0], *headers, *port, state.sidecar)
		if err != nil {
			return err
		}
		if (cmd.Flags().Changed("sni") || *alpn != nil) && !c.tls() {
			return misusef("--sni and --alpn are for https:// and tls://")
		}
		if cmd.Flags().Changed("sni") {
			c.ServerName = *sni
		}
		c.ALPN = *alpn
		e := explain(state, c)
		if *out != formatText {
			return out.encode(cmd.OutOrStdout(), e)
		}
		e.writeText(legible(cmd.OutOrStdout()))
		return nil
	}
	return cmd
}

// explanation is what `sluice explain -o json` prints. The fields up to Timeout are
// the outcome alone; the others say how it came about.
type explanation struct {
	// Error is "refused" (nothing listens on the port), "not-found" (404, flag NR),
	// "https-redirect" (301 before any route), "reset" (no server takes the connection) or
	// "closed" (its server has no route for it).
	Error string `json:"error,omitempty"`
	// Status, Location and Body are an answer without an upstream. 503 stands for
	// destinations of which none exists (flag NC), 421 for a host that is not served on this
	// connection, 400 for plaintext where TLS is spoken.
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	Body     string `json:"body,omitempty"`
	// Route is the name of the rule and match.
	Route string `json:"route,omitempty"`
	// Clusters are the relative weights by name; a single destination has 1.
	Clusters map[string]uint64 `json:"clusters,omitempty"`
	// Path and Authority are as the upstream sees them.
	Path      string `json:"path,omitempty"`
	Authority string `json:"authority,omitempty"`
	// Timeout is written like 1.5s.
	Timeout string `json:"timeout,omitempty"`
	// Policies are what the route does beside that.
	Policies []router.Policy `json:"policies,omitempty"`

	Request  call   `json:"request"`
	Listener string `json:"listener,omitempty"`
	// Connection says which server took the connection, where there are several or bytes
	// are routed; Misdirected on what conditions it serves the host of another.
	Connection   *connectionView   `json:"connection,omitempty"`
	Misdirected  string            `json:"misdirected,omitempty"`
	Table        string            `json:"table,omitempty"`
	VirtualHost  string            `json:"virtualHost,omitempty"`
	Domain       string            `json:"domain,omitempty"`
	Rule         ruleRef           `json:"rule,omitzero"`
	Match        string            `json:"match,omitempty"`
	Destinations []destinationView `json:"destinations,omitempty"`
	// RedirectsTo is the Location of an https-redirect.
	RedirectsTo string `json:"redirectsTo,omitempty"`
	// Earlier are the rules before the one that matched (all of them on a miss).
	Earlier []missView `json:"earlier,omitempty"`
	// Nearest is, on a miss, the rule that came nearest, and Hint the way out.
	Nearest *missView `json:"nearest,omitempty"`
	Hint    string    `json:"hint,omitempty"`

	// live: a running proxy was asked, so that what is not there is really missing. upstreams
	// are its clusters, by name.
	live      bool
	upstreams map[string]admin.Cluster
}

// missView is a rule that did not match, and why.
type missView struct {
	Route  string                   `json:"route,omitempty"`
	Rule   ruleRef                  `json:"rule"`
	Failed []router.FailedCondition `json:"failed"`
}

// explain routes a call through the table that state makes.
func explain(state proxyState, c call) explanation {
	e := explanation{Request: c, live: state.upstreams != nil, upstreams: state.upstreams}
	if e.Status, e.Hint = state.refusal(&c); e.Status != 0 {
		return e
	}
	listener, port := state.listenerFor(c.Port)
	if listener == nil {
		e.Error = "refused"
		e.Hint = state.listenerHint()
		return e
	}
	table, _ := router.Build(state.spec, nil)
	request, why := c.explained(state, table, listener.Name, port)
	if why.Connection != nil {
		e.Misdirected = why.Misdirected
		e.connect(state, table, why.Connection)
		if c.bytes() || why.Connection.Outcome != router.ConnectionRequests {
			return e
		}
		if e.Hint = why.Misdirected; why.Outcome == router.RequestMisdirected {
			e.Status = http.StatusMisdirectedRequest
			return e
		}
	}
	decision := table.Route(request)
	e.Listener, e.Table, e.VirtualHost, e.Domain = why.Listener, why.Table, why.VirtualHost, why.Domain
	for _, miss := range why.Earlier {
		e.Earlier = append(e.Earlier, state.miss(miss))
	}
	if decision.Route != nil {
		e.Route, e.Match = decision.Route.Name, decision.Route.Route.Match.String()
		e.Rule = state.rule(decision.Route.Origin())
		e.Policies = decision.Route.Route.Policies()
	}
	switch decision.Outcome {
	case router.TLSRedirect:
		e.Error = "https-redirect"
		e.RedirectsTo = string(decision.AppendLocation(nil, request))
	case router.Redirected:
		e.Status = decision.Route.Redirect.Status
		e.Location = string(decision.AppendLocation(nil, request))
	case router.Responded:
		e.Status = decision.Route.Direct.Status
		e.Body = string(decision.Route.Direct.Body)
	case router.Forward:
		e.forward(table, decision, request)
	default:
		e.Error = "not-found"
		if why.Nearest != nil {
			nearest := state.miss(*why.Nearest)
			e.Nearest = &nearest
		}
		e.Hint = because.NotFoundHint(why, request.Port)
	}
	return e
}

// refusal returns the status and reason with which a server would refuse the call
// before routing, and 0 where it does not; the path is then as routing sees it. An edge
// is stricter than a sidecar.
func (s proxyState) refusal(c *call) (status int, why string) {
	if c.bytes() {
		return 0, ""
	}
	slashes := http1.RejectEscapedSlashes
	if s.sidecar {
		slashes = http1.KeepEscapedSlashes
	}
	path, refused := http1.NormalizePath(c.Path, slashes)
	if refused != nil {
		return refused.Status, "the path is refused before routing: " + refused.Detail
	}
	c.Path = path
	for _, h := range c.Headers {
		if !s.sidecar && strings.Contains(h.Name, "_") {
			return http.StatusBadRequest, "the header " + h.Name + " is refused before routing: servers may take its underscores for dashes"
		}
	}
	return 0, ""
}

func (s proxyState) miss(m router.RuleMiss) missView {
	return missView{Route: m.Name, Rule: s.rule(m.Origin), Failed: m.Failed}
}

// forward fills in what an upstream gets to see, or that there is none.
func (e *explanation) forward(table *router.Table, d router.Decision, r *router.Request) {
	found := e.addDestinations(table, d.Route.Destinations, func(view *destinationView, dest *router.CompiledDestination) {
		if authority := d.Authority(dest, r); authority != r.Authority {
			view.Authority = authority
		}
	})
	if d.Route.Timeout > 0 {
		e.Timeout = d.Route.Timeout.String()
	}
	if !found {
		e.Status, e.Timeout = http.StatusServiceUnavailable, ""
		return
	}
	e.Path = string(d.AppendPath(nil, r))
	if d.RewritesPath() && !http1.NormalPath(e.Path) {
		e.Hint = "the rewritten path leads out of where it seems to: the proxy answers 400 instead of forwarding it. Let prefix and rewrite both end in a slash, or neither"
	}
	e.Authority = d.Authority(&d.Route.Destinations[0], r)
}
