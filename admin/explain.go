package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/sluicegate/sluice/router"
)

// maxQuery bounds the JSON of a question, in bytes.
const maxQuery = 1 << 20

// Query asks what a request would get.
type Query struct {
	// Method is GET where empty.
	Method string `json:"method,omitempty"`
	// URL is "http://host:port/path?query"; without a scheme it is http. "tcp://host:port"
	// and "tls://name:port" ask about a connection alone.
	URL string `json:"url"`
	// SNI is the TLS server name of the connection, where it begins with TLS; null takes the
	// URL's host, "" stands for none.
	SNI *string `json:"sni,omitempty"`
	// ALPN are the protocols that the client offers; of https h2 and http/1.1 where there
	// are none.
	ALPN []string `json:"alpn,omitempty"`
	// Port is the one that the client connects to; 0 takes the URL's.
	Port uint16 `json:"port,omitempty"`
	// Listener is the name of one; empty takes the one that serves Port.
	Listener string `json:"listener,omitempty"`
	// Headers are lines "name: value"; host replaces the URL's.
	Headers []string `json:"headers,omitempty"`
}

// Answer is what /explain says.
type Answer struct {
	// Generation is that of the table that was asked.
	Generation uint64 `json:"generation"`
	// Query is what was asked, with what was left out filled in.
	Query Query `json:"query"`
	*router.Explanation
	// Upstreams is the state of the destinations: their endpoints, connections and breakers.
	Upstreams []Cluster `json:"upstreams,omitempty"`
}

// explainQuery answers a question in the URL.
func explainQuery(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		q := Query{Method: v.Get("method"), URL: v.Get("url"), Listener: v.Get("listener"), Headers: v["header"], ALPN: v["alpn"]}
		if v.Has("sni") {
			sni := v.Get("sni")
			q.SNI = &sni
		}
		if p := v.Get("port"); p != "" {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil {
				writeProblem(w, http.StatusBadRequest, fmt.Sprintf("port %q is not a port number", p))
				return
			}
			q.Port = uint16(n)
		}
		explain(w, o, q)
	}
}

// explainJSON answers a question in the body.
func explainJSON(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Query
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuery))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			writeProblem(w, http.StatusBadRequest, "the body is not a question: "+err.Error())
			return
		}
		explain(w, o, q)
	}
}

func explain(w http.ResponseWriter, o Options, q Query) {
	table := o.Table()
	if table == nil {
		writeProblem(w, http.StatusServiceUnavailable, "there is no configuration yet")
		return
	}
	target, err := q.target(o.Info.Role == "sidecar")
	if err == nil {
		err = q.choose(table.Spec().Listeners, o.Listeners())
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	target.connection.Listener = q.Listener
	if target.request == nil {
		why := explainConnection(table, &target.connection)
		writeJSON(w, Answer{Generation: table.Generation(), Query: q, Explanation: why, Upstreams: upstreams(o, why)})
		return
	}
	request := target.request
	request.Listener, request.Port = q.Listener, q.Port
	if o.Routed != nil {
		if err := o.Routed(request); err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	why := explainRequest(table, target)
	writeJSON(w, Answer{Generation: table.Generation(), Query: q, Explanation: why, Upstreams: upstreams(o, why)})
}

// upstreams returns the state of an explanation's destinations.
func upstreams(o Options, e *router.Explanation) []Cluster {
	var wanted []router.ExplainedDestination
	if e.Route != nil {
		wanted = e.Route.Destinations
	} else if e.Connection != nil && e.Connection.Stream != nil {
		wanted = e.Connection.Stream.Destinations
	}
	if len(wanted) == 0 || o.Clusters == nil {
		return nil
	}
	var list []Cluster
	for _, c := range o.Clusters() {
		if slices.ContainsFunc(wanted, func(d router.ExplainedDestination) bool { return d.Cluster == c.Name }) {
			list = append(list, c)
		}
	}
	return list
}

// explainRequest explains a request, and its connection where the listener has chains.
func explainRequest(table *router.Table, t target) *router.Explanation {
	if table.HasChains(t.request.Listener) {
		return table.ExplainOn(&t.connection, t.request)
	}
	return table.Explain(t.request)
}

func explainConnection(table *router.Table, c *router.Connection) *router.Explanation {
	why := table.ExplainConnection(c)
	return &router.Explanation{Outcome: why.Outcome, Listener: why.Listener, Connection: why}
}
