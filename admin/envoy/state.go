package envoy

import (
	"strconv"
	"time"

	"github.com/sluicegate/sluice/router"
)

// State is what is told of.
type State struct {
	// Spec is what is served; nil for nothing yet. Version names it, Updated is since when.
	Spec    *router.Spec
	Version string
	Updated time.Time
	// Node is the proxy's own id, Metadata what there is to say about it.
	Node     string
	Metadata map[string]any
	// Admin is the address of the admin server, empty where it is not known.
	Admin string
	// Inbound says that the listeners are for calls to a sidecar's own workload, by name.
	Inbound map[string]bool
	// Sockets are where listeners listen ("0.0.0.0:8080"), by name, where they do.
	Sockets map[string]string
	// Clusters are the states of clusters.
	Clusters []Cluster
}

// Cluster is the state of one cluster.
type Cluster struct {
	Name  string
	Hosts []Host
}

// Host is the state of one address of a cluster.
type Host struct {
	// Address is "10.0.0.1:80" or "unix:///path", Name what it was resolved from.
	Address, Name string
	// Healthy is false while outlier detection keeps it out of use.
	Healthy bool
	// Weight is 0 where none is configured; Locality is "region/zone/subzone".
	Weight   uint32
	Locality string
	Priority int
	// Gauges: connections open, exchanges in progress. Counters: dials and those that failed,
	// exchanges and those that failed.
	Open, Active              int64
	Connects, ConnectFailures uint64
	Requests, Failures        uint64
}

// object is a JSON object.
type object = map[string]any

// typed is a protocol buffer inside of google.protobuf.Any.
func typed(name string, fields object) object {
	fields["@type"] = "type.googleapis.com/" + name
	return fields
}

// put sets a field that is not empty.
func put(to object, name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case []object:
		if len(v) == 0 {
			return
		}
	case object:
		if v == nil {
			return
		}
	}
	to[name] = value
}

// duration is google.protobuf.Duration.
func duration(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
