package ui

import (
	"time"

	"github.com/sluicegate/sluice/admin"
)

// State is what a proxy tells a page of itself at a moment. Its numbers count from the
// start of the process: the page takes differences.
type State struct {
	Info         Info                `json:"info"`
	Listeners    []admin.Listener    `json:"listeners"`
	Conditions   []admin.Condition   `json:"conditions"`
	Certificates []admin.Certificate `json:"certificates"`
	Routes       []Route             `json:"routes"`
	Traffic      []RouteTraffic      `json:"traffic"`
	Clusters     []admin.Cluster     `json:"clusters"`
	Edges        []Edge              `json:"edges"`
	Failures     []Failure           `json:"failures"`
}

// Info is what a proxy is, and what it serves.
type Info struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Version   string    `json:"version"`
	Namespace string    `json:"namespace,omitempty"`
	Workload  string    `json:"workload,omitempty"`
	App       string    `json:"app,omitempty"`
	Started   time.Time `json:"started"`
	// NotReady says why the proxy does not serve; empty where it does.
	NotReady string `json:"notReady,omitempty"`
	// Generation and Updated are those of the configuration in force.
	Generation uint64    `json:"generation"`
	Updated    time.Time `json:"updated,omitzero"`
	Config     []string  `json:"config,omitempty"`
	// EdgeBounds and RouteBounds are those of the histograms, in milliseconds.
	EdgeBounds  []float64 `json:"edgeBounds"`
	RouteBounds []float64 `json:"routeBounds"`
}

// Counts are requests and how they ended.
type Counts struct {
	Requests uint64 `json:"requests"`
	// Errors are those that were answered 5xx or not at all, Refused those with 4xx.
	Errors  uint64 `json:"errors,omitempty"`
	Refused uint64 `json:"refused,omitempty"`
	// Buckets count durations by Info's bounds, each once; empty ones at the end may be
	// left out.
	Buckets []uint64 `json:"buckets,omitempty"`
}

// RouteTraffic is what a route took and sent to one of its clusters.
type RouteTraffic struct {
	// ID is the Route's.
	ID string `json:"id"`
	// Listener is where they came in, Cluster where they went; empty where they went nowhere.
	Listener string `json:"listener"`
	Cluster  string `json:"cluster,omitempty"`
	// Unrouted says that no route took them.
	Unrouted bool `json:"unrouted,omitempty"`
	Counts
}

// Failure is a request that went wrong.
type Failure struct {
	// Sequence tells it from the others of the process, ID is its x-request-id.
	Sequence uint64    `json:"sequence"`
	ID       string    `json:"id,omitempty"`
	Time     time.Time `json:"time"`
	// Method is empty for a connection that carried bytes.
	Method   string `json:"method,omitempty"`
	Scheme   string `json:"scheme,omitempty"`
	Host     string `json:"host"`
	Path     string `json:"path"`
	Status   int    `json:"status"`
	Flags    string `json:"flags,omitempty"`
	Details  string `json:"details,omitempty"`
	Route    string `json:"route,omitempty"`
	Cluster  string `json:"cluster,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	// Duration is in milliseconds.
	Duration float64 `json:"duration"`
	// Reason says in a line why.
	Reason string `json:"reason,omitempty"`
}

// state asks for everything.
func (s *source) state() State {
	o := s.o
	config := o.Admin.Config()
	state := State{
		Info:       s.info(config),
		Listeners:  notNil(o.Admin.Listeners()),
		Conditions: admin.Conditions(config.Conditions),
		Routes:     s.routes(config.Spec),
		Clusters:   clusters(o.Admin.Clusters()),
	}
	if o.Admin.Certificates != nil {
		state.Certificates = o.Admin.Certificates()
	}
	if o.Routes != nil {
		state.Traffic, state.Info.RouteBounds = o.Routes()
	}
	if o.Edges != nil {
		state.Edges, state.Info.EdgeBounds = o.Edges()
		state.Edges = mergeEdges(state.Edges)
	}
	if o.Failures != nil {
		state.Failures = o.Failures()
	}
	state.Certificates, state.Traffic = notNil(state.Certificates), notNil(state.Traffic)
	state.Edges, state.Failures = notNil(state.Edges), notNil(state.Failures)
	state.Info.EdgeBounds, state.Info.RouteBounds = notNil(state.Info.EdgeBounds), notNil(state.Info.RouteBounds)
	return state
}

func (s *source) info(config admin.Config) Info {
	o := s.o
	info := Info{
		Name: o.Name, Role: o.Admin.Info.Role, Version: o.Admin.Info.Version.Version, Namespace: o.Admin.Info.Namespace,
		Workload: o.Workload, App: o.App, Started: o.Admin.Info.Started,
		Generation: config.Generation, Updated: config.Updated, Config: o.Admin.Info.Config,
	}
	if err := o.Admin.Ready(); err != nil {
		info.NotReady = err.Error()
	}
	return info
}

// clusters leaves out what the page does not show.
func clusters(list []admin.Cluster) []admin.Cluster {
	out := make([]admin.Cluster, len(list))
	for i, c := range list {
		out[i] = c
		out[i].Stats, out[i].Endpoints = nil, notNil(c.Endpoints)
	}
	return out
}

// notNil makes an empty list of none: null is no list to a page.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
