package admin

import (
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// endpoint is one path of the admin server.
type endpoint struct {
	path    string
	methods []string
	about   string
	handler http.Handler
}

// NewHandler returns the admin server's handler.
func NewHandler(o Options) http.Handler {
	r := mux.NewRouter()
	list := endpoints(o)
	for _, e := range list {
		r.Path(e.path).Methods(e.methods...).Handler(e.handler)
	}
	if o.UI != nil {
		r.PathPrefix("/ui/").Handler(o.UI)
		r.Path("/ui").Methods(http.MethodGet, http.MethodHead).Handler(http.RedirectHandler("/ui/", http.StatusFound))
	}
	r.Path("/").Methods(http.MethodGet, http.MethodHead).Handler(index(o.Info, list))
	profiles(r)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "there is no such page; / lists those that exist")
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusMethodNotAllowed, "this page is read with GET")
	})
	return guard(o.AllowedHosts, r)
}

// endpoints are the pages in the order in which the index shows them.
func endpoints(o Options) []endpoint {
	get := []string{http.MethodGet, http.MethodHead}
	page := func(path, about string, h http.HandlerFunc) endpoint {
		return endpoint{path: path, methods: get, about: about, handler: h}
	}
	list := []endpoint{
		page("/config_dump", "the configuration in force: generation, listeners, routes, clusters, conditions (JSON)", configDump(o)),
		page("/listeners", "sockets and their connections (text, or ?format=json)", listeners(o)),
		page("/routes", "virtual hosts and routes (text, or ?format=json)", routes(o)),
		page("/clusters", "clusters and their endpoints (text, or ?format=json)", clusters(o)),
		page("/certs", "certificates: where they come from, and until when they hold (text, or ?format=json)", certificates(o)),
		page("/conditions", "what is wrong with the configuration (text, or ?format=json)", conditions(o)),
		page("/explain", "what a request would get, and why: ?url=http://host/path&method=GET&port=80&header=k:v, or POST JSON", explainQuery(o)),
		page("/ready", "200 where the proxy serves its configuration, else 503 with the reason", readiness(o.Ready)),
		page("/server_info", "version, role, state, labels (JSON)", serverInfo(o)),
		page("/debug/pprof/", "profiles of the Go runtime", pprof.Index),
		{path: "/explain", methods: []string{http.MethodPost}, handler: explainJSON(o)},
	}
	if o.UI != nil {
		list = slices.Insert(list, 0, page("/ui/", "the same and the traffic as a live page for a browser", o.UI.ServeHTTP))
	}
	if o.Metrics != nil {
		list = append(list, page("/stats/prometheus", "metrics, as Prometheus reads them", o.Metrics.ServeHTTP))
	}
	return list
}

func profiles(r *mux.Router) {
	r.Path("/debug/pprof/cmdline").Methods(http.MethodGet).HandlerFunc(pprof.Cmdline)
	r.Path("/debug/pprof/profile").Methods(http.MethodGet).HandlerFunc(pprof.Profile)
	r.Path("/debug/pprof/symbol").Methods(http.MethodGet, http.MethodPost).HandlerFunc(pprof.Symbol)
	r.Path("/debug/pprof/trace").Methods(http.MethodGet).HandlerFunc(pprof.Trace)
	r.PathPrefix("/debug/pprof/").Methods(http.MethodGet).HandlerFunc(pprof.Index)
}

// wantsJSON reports whether a page that also exists as text is asked for as JSON.
func wantsJSON(r *http.Request) bool {
	if f := r.URL.Query().Get("format"); f != "" {
		return f == "json"
	}
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// writeText answers with plain text.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}
