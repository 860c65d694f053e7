package admin

import (
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

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
func NewHandler(o Options) http.Handler { return hurried(guard(o.AllowedHosts, newRouter(o))) }

// slowReader is how long whoever asks for a page may take to read it: pages are as large as the
// configuration, and wait in memory. Streams and profiles have limits of their own.
const slowReader = time.Minute

// hurried begins that time. Nothing needs to end it: the next request begins another.
func hurried(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not all writers have deadlines: those of tests and of middleware may do without.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slowReader))
		next.ServeHTTP(w, r)
	})
}

// unhurried is a page that takes as long as it is asked to.
func unhurried(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		next(w, r)
	}
}

func newRouter(o Options) *mux.Router {
	r := mux.NewRouter().UseEncodedPath()
	list := endpoints(o)
	for _, e := range list {
		// The router writes to what it is given.
		r.Path(e.path).Methods(slices.Clone(e.methods)...).Handler(e.handler)
	}
	if o.UI != nil {
		r.PathPrefix("/ui/").Handler(o.UI)
		r.Path("/ui").Methods(http.MethodGet, http.MethodHead).Handler(http.RedirectHandler("/ui/", http.StatusFound))
	}
	r.Path("/").Methods(http.MethodGet, http.MethodHead).Handler(index(o.Info, list))
	profiles(r, o.Profiles)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "there is no such page; / lists those that exist")
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods := methodsOf(list, r.URL.Path)
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeProblem(w, http.StatusMethodNotAllowed, "this page is asked for with "+methods[0])
	})
	return r
}

// methodsOf returns those by which a page may be asked for.
func methodsOf(list []endpoint, path string) []string {
	var methods []string
	for _, e := range list {
		if e.path == path {
			methods = append(methods, e.methods...)
		}
	}
	if len(methods) == 0 {
		return reading
	}
	return methods
}

// reading are the methods of pages that change nothing, changing those of the others.
var (
	reading  = []string{http.MethodGet, http.MethodHead}
	changing = []string{http.MethodPost}
)

func page(path, about string, h http.HandlerFunc) endpoint {
	return endpoint{path: path, methods: reading, about: about, handler: h}
}

func action(path, about string, h http.HandlerFunc) endpoint {
	return endpoint{path: path, methods: changing, about: about, handler: h}
}

// endpoints are the pages in the order in which the index shows them.
func endpoints(o Options) []endpoint {
	var list []endpoint
	if o.Metrics != nil {
		o.Metrics = scraped(o.Metrics)
	}
	if o.UI != nil {
		list = append(list, page("/ui/", "the same and the traffic as a live page for a browser", o.UI.ServeHTTP))
	}
	list = append(list,
		page("/config_dump", "the configuration in force: generation, listeners, routes, clusters, conditions (JSON; ?format=envoy as istioctl reads it)", configDump(o)),
		page("/listeners", "sockets and their connections (text, or ?format=json)", listeners(o)),
		page("/routes", "virtual hosts and routes (text, or ?format=json)", routes(o)),
		page("/clusters", "clusters and their endpoints (text, ?format=json as Envoy has it, ?format=sluice)", clusters(o)),
		page("/certs", "certificates: where they come from, and until when they hold (text, or ?format=json)", certificates(o)),
		page("/conditions", "what is wrong with the configuration (text, or ?format=json)", conditions(o)),
		page("/explain", "what a request would get, and why: ?url=http://host/path&method=GET&port=80&header=k:v, or POST JSON", explainQuery(o)),
		endpoint{path: "/explain", methods: changing, handler: explainJSON(o)},
	)
	list = append(list, trafficEndpoints(o)...)
	list = append(list,
		page("/stats", "numbers under Envoy's names (text; ?filter=REGEX &usedonly &format=json|prometheus)", stats(o)),
		page("/memory", "memory of the process (JSON)", showMemory),
		page("/ready", "200 where the proxy serves its configuration, else 503 with the reason", readiness(o.Ready)),
		page("/server_info", "version, role, state, labels (JSON)", serverInfo(o)),
		page("/openapi.json", "a description of these pages (OpenAPI 3.1); also /openapi.yaml", openAPI("application/json", openAPIJSON)),
		page("/openapi.yaml", "", openAPI("application/yaml", openAPIYAML)),
	)
	if o.Metrics != nil {
		list = append(list, page("/stats/prometheus", "metrics, as Prometheus reads them", o.Metrics.ServeHTTP))
	}
	if o.Profiles {
		list = append(list, page("/debug/pprof/", "profiles of the Go runtime", unhurried(pprof.Index)))
	}
	return append(list, operations(o)...)
}

// trafficEndpoints are the pages about what was served of late.
func trafficEndpoints(o Options) []endpoint {
	if o.Recent == nil {
		return nil
	}
	return []endpoint{
		page("/failures", "requests that failed of late (JSON; ?last=404, 5xx, UH)", listFailures(o)),
		page("/why", "why the last request failed, and what to do (JSON; ?last=404, 5xx, UH)", whyLast(o)),
		page("/why/{id}", "the same of the request with this x-request-id", whyID(o)),
		page("/tap", "requests as they end, a line of JSON each (?status=5xx&host=...&path=...&count=10), or server-sent events", tap(o.Recent)),
		page("/stats/routes", "requests, errors and latency of each route (JSON)", routesByTraffic(o.Recent)),
	}
}

// operations are what changes the process.
func operations(o Options) []endpoint {
	var list []endpoint
	if o.LogLevel != nil {
		list = append(list,
			page("/logging", "the level of the log; POST ?level=debug changes it", showLogging(o.LogLevel)),
			action("/logging", "", setLogging(o.LogLevel)))
	}
	if o.Drain != nil {
		list = append(list, action("/drain_listeners", "POST stops accepting connections (?graceful after a while)", drainListeners(o.Drain)))
	}
	if o.FailHealth != nil {
		list = append(list,
			action("/healthcheck/fail", "POST makes /ready and the status server say 503", healthcheck(o.FailHealth, true)),
			action("/healthcheck/ok", "POST takes that back", healthcheck(o.FailHealth, false)))
	}
	if o.Quit != nil {
		list = append(list, action("/quitquitquit", "POST ends the process, after its drain", quit(o.Quit)))
	}
	return list
}

// profiles serves the profiles of the Go runtime, where they may be read.
func profiles(r *mux.Router, allowed bool) {
	if !allowed {
		r.PathPrefix("/debug/pprof").HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			writeProblem(w, http.StatusForbidden, "profiles are shown on a loopback address only, or with --admin-profiles")
		})
		return
	}
	r.Path("/debug/pprof/cmdline").Methods(http.MethodGet).HandlerFunc(unhurried(pprof.Cmdline))
	r.Path("/debug/pprof/profile").Methods(http.MethodGet).HandlerFunc(unhurried(pprof.Profile))
	r.Path("/debug/pprof/symbol").Methods(http.MethodGet, http.MethodPost).HandlerFunc(unhurried(pprof.Symbol))
	r.Path("/debug/pprof/trace").Methods(http.MethodGet).HandlerFunc(unhurried(pprof.Trace))
	r.PathPrefix("/debug/pprof/").Methods(http.MethodGet).HandlerFunc(unhurried(pprof.Index))
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
