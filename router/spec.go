package router

import "time"

// Spec is everything that one proxy serves, as plain data. A front end writes
// it and never changes it afterwards: parts that did not change from one Spec to
// the next keep their pointers, which is how [Build] knows what it may reuse.
type Spec struct {
	// Listeners are the sockets to serve, in the order to show them.
	Listeners []*Listener
	// Clusters are the destinations that exist. A route may name others; it then
	// answers 503 with flag NC for their share of the traffic.
	Clusters []*Cluster
	// Secrets are those that Credentials and Authorities name.
	Secrets []*Secret
	// Telemetry says what is told of the traffic; nil leaves that to the process.
	Telemetry *Telemetry
}

// Listener is one socket and the route tables behind it.
type Listener struct {
	// Name is unique and stable across configurations, such as "0.0.0.0_8080".
	Name string
	// Address is the IP address to bind, or "unix:///path". Empty means the
	// address that the process was started with.
	Address string
	// Port is the socket's port: on Kubernetes, the Service's target port. 0 with
	// a unix address, or where the role brings its own socket.
	Port uint16
	// NodePorts are further ports that a cluster would open for this listener.
	// The gateway binds them only when asked to.
	NodePorts []uint16
	// Tables hold the routes. A request takes the table whose Port is the port it
	// was sent to, else the one with Port 0; where there is only one table, that.
	Tables []*RouteTable
	// Chains say what becomes of connections, by TLS server name. A listener has either
	// Chains or Tables; with Tables alone it speaks plaintext HTTP.
	Chains []*Chain
}

// RouteTable is a set of virtual hosts that are chosen by a request's host (Envoy's
// RouteConfiguration).
type RouteTable struct {
	// Name is the table's name as operators know it: "http.80" on a gateway,
	// "9080" on a sidecar.
	Name string
	// Port is the port that callers address: the Gateway server's port.number, or
	// the Service's port on a sidecar. 0 serves every port without a table.
	Port uint16
	// VirtualHosts in order of precedence: of two that claim the same domain, the
	// first has it.
	VirtualHosts []*VirtualHost
}

// VirtualHost is a list of routes for some domains.
type VirtualHost struct {
	// Name is for people: "reviews.example.com:80".
	Name string
	// Domains are exact hosts, wildcards such as "*.example.com", or "*". Case, a
	// trailing dot and a port do not matter. An exact domain beats every wildcard,
	// a longer wildcard a shorter one.
	Domains []string
	// Routes in order: the first that matches serves the request.
	Routes []*Route
	// RequireTLS answers every plaintext request with 301 to https (Istio
	// Gateway servers[].tls.httpsRedirect), before any route, but for those under
	// /.well-known/acme-challenge/, which are routed.
	RequireTLS bool
}

// Origin names the piece of configuration that something was made from.
type Origin struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Field is a path inside the object, such as "http[2].match[0]".
	Field string `json:"field,omitempty"`
}

// Object names a piece of configuration.
type Object struct{ Kind, Namespace, Name string }

// Route is one match, and what is done about the requests that it takes. A rule with several
// match blocks becomes as many Routes that share the RouteAction.
//
// There are many, so that it is small: what it has in common with others is behind pointers.
type Route struct {
	// Object is where the rule stands, for people, and Field the path inside it, such as
	// "http[2].match[0]". Object may be nil.
	Object *Object
	Field  string
	// Match says which requests the route takes. The zero value takes all.
	Match Match
	// RouteAction must not be nil. Nobody changes it once it is part of a Spec.
	*RouteAction
}

// Origin names the piece of configuration that the route was made from.
func (r *Route) Origin() Origin {
	o := Origin{Field: r.Field}
	if r.Object != nil {
		o.Kind, o.Namespace, o.Name = r.Object.Kind, r.Object.Namespace, r.Object.Name
	}
	return o
}

// RouteAction is what routes do with requests: exactly one of Redirect, Direct and Destinations is
// set. Routes that do the same may share it.
type RouteAction struct {
	// Name is the rule's name, joined with the match's ("rule.match") where both
	// have one. It appears in access logs as %ROUTE_NAME%.
	Name string

	Redirect     *Redirect
	Direct       *DirectResponse
	Destinations []Destination

	// Rewrite changes the request on its way to a destination.
	Rewrite *Rewrite
	// Policy is whatever else is done about a request; nil where nothing is. Those with the
	// same may share it: few have one of their own.
	Policy *RoutePolicy
}

// RoutePolicy is what a route does about requests beside sending them somewhere. The zero
// value does nothing.
type RoutePolicy struct {
	// Sources says which clients may come in; nil for all. Others are answered 403, whatever
	// else the route does.
	Sources *Sources
	// MaxRequestBody bounds the bytes of a request's body on its way to a destination; more
	// is answered 413. 0 means none.
	MaxRequestBody int64
	// Limits bound what each client may ask for, MaxLimits of them at most; a request beyond
	// one is answered 503.
	Limits []LocalLimit
	// IdleTimeout bounds how long nothing may move in an exchange, or through what it was
	// upgraded to, in either direction. 0 means the listener's bounds.
	IdleTimeout time.Duration
	// Timeout bounds the whole exchange with the destination, retries included.
	// 0 means none.
	Timeout time.Duration
	// Headers are applied after those of the chosen destination.
	Headers HeaderPolicy
	// Retry, Fault, CORS and Mirrors are the route's policies; nil for none.
	Retry   *Retry
	Fault   *Fault
	CORS    *CORS
	Mirrors []Mirror
}

// noPolicy stands for that of a route without.
var noPolicy = &RoutePolicy{}

// PolicyInForce returns the action's policy, which nobody may change: the zero value where it
// has none.
func (a *RouteAction) PolicyInForce() *RoutePolicy {
	if a.Policy == nil {
		return noPolicy
	}
	return a.Policy
}

// Match is a set of conditions that must all hold.
type Match struct {
	// Path is compared with the path without its query.
	Path StringMatch
	// Rest is what few matches have beside that; nil where there is nothing of it.
	Rest *Conditions
}

// Conditions are those of a Match on anything but the path. They must all hold.
type Conditions struct {
	// IgnorePathCase lets exact and prefix paths match in any case. It does not
	// change regular expressions.
	IgnorePathCase bool

	Scheme StringMatch
	Method StringMatch
	// Authority is compared with the request's authority as sent, port included.
	Authority StringMatch
	Headers   []HeaderMatch
	Query     []QueryMatch
}

// noConditions stand for those of a match on the path alone.
var noConditions = &Conditions{}

// Conditions returns what the match has beside the path, of which nobody may change anything:
// the zero value where it has none.
func (m *Match) Conditions() *Conditions {
	if m.Rest == nil {
		return noConditions
	}
	return m.Rest
}

// MatchKind says how a StringMatch compares.
type MatchKind uint8

const (
	// MatchAny holds for every value, an absent one included.
	MatchAny MatchKind = iota
	// MatchExact compares byte for byte.
	MatchExact
	// MatchPrefix compares the beginning, as raw text: "/foo" takes "/foobar".
	MatchPrefix
	// MatchRegex is an RE2 expression that must match the whole value. Values hold no
	// line breaks, so "." stands for any character.
	MatchRegex
	// MatchPresent holds where the header or parameter is there, whatever it says.
	MatchPresent
)

// StringMatch is a comparison with a string.
type StringMatch struct {
	Kind  MatchKind
	Value string
}

// HeaderMatch is a condition on one header. Several values of a header are
// compared as one string, joined by commas, as Envoy does.
type HeaderMatch struct {
	// Name is lower case. ":method", ":scheme", ":path" (with its query), ":authority"
	// and "host" stand for those parts of the request; "upgrade" and "connection" are there where
	// the client asks for another protocol.
	Name  string
	Match StringMatch
	// Invert turns the condition round (Istio's withoutHeaders). With
	// TreatMissingAsEmpty a missing header is compared as ""; without it, a missing
	// header satisfies neither a comparison nor its inverse (Envoy). MatchPresent is
	// about the header itself and heeds Invert only.
	Invert              bool
	TreatMissingAsEmpty bool
}

// QueryMatch is a condition on the first query parameter of that name. Name and value
// are compared as they stand in the request, without decoding; "q" is "q=".
type QueryMatch struct {
	Name  string
	Match StringMatch
}

// Rewrite changes the path and authority that the destination sees. At most one
// of Prefix, Path and Regex is set.
type Rewrite struct {
	// Prefix replaces what the route's prefix match took, as text: the whole path where
	// the match is exact or an expression, the leading slash where there is none.
	// HasPrefix tells an empty replacement from none. A rewritten path that would not
	// begin with a slash gets one.
	Prefix    string
	HasPrefix bool
	// Path replaces the whole path; the query stays.
	Path string
	// Regex is an RE2 expression whose matches in the path are replaced by
	// Substitution, in which \1 to \9 stand for groups and \0 for the match.
	Regex        string
	Substitution string
	// Authority replaces the authority, and that of a Destination too.
	Authority string
}

// Redirect answers with a Location (Istio HTTPRedirect).
type Redirect struct {
	// Status is 301, 302, 303, 307 or 308.
	Status int
	// Scheme, Host and Path replace those of the request where set. A Path with a query
	// replaces that too, else the request's stays.
	Scheme string
	Host   string
	Path   string
	// PrefixRewrite replaces what the route's prefix match took.
	PrefixRewrite string
	HasPrefix     bool
	// Port replaces the port where not 0. PortFromRequest sets the port that the
	// request was sent to: Request.Port, else the table's, else the listener's. The
	// default port of the new scheme is left out. Without either the request's port
	// stays with the request's host, but for the old scheme's default port where the
	// scheme changes (Envoy).
	Port            uint16
	PortFromRequest bool
}

// DirectResponse answers without any upstream.
type DirectResponse struct {
	Status int
	Body   []byte
}

// Destination is a share of a route's traffic.
type Destination struct {
	// Cluster is a name, of those in Spec.Clusters or not.
	Cluster string
	// Weight is relative to the route's other destinations. A single destination
	// gets everything, whatever its weight.
	Weight uint32
	// Authority replaces the authority for this destination, unless Rewrite does.
	Authority string
	// Headers are applied before those of the route.
	Headers HeaderPolicy
}

// HeaderPolicy are changes to headers, first to the request, then to the response.
type HeaderPolicy struct {
	Request  HeaderOps
	Response HeaderOps
}

// HeaderOps are changes to one set of headers: Remove, then Set, then Add. Values may
// hold operators, see [Template]. Names that begin with a colon, and host, are left
// alone: the authority changes through Rewrite and Destination only.
type HeaderOps struct {
	Set    []Header
	Add    []Header
	Remove []string
}

// Header is a name and a value. In a [Request] names are lower case.
type Header struct {
	Name  string
	Value string
}

// MaxRingSize bounds the points of a ring. One takes 16 bytes, and all are sorted anew whenever
// an endpoint comes or goes, which Envoy's bound of eight times as many would make seconds of. With
// this many, ten endpoints have their shares of the keys within a percent.
const MaxRingSize = 1 << 20

// Cluster is a group of endpoints that serve the same thing.
type Cluster struct {
	// Name is "outbound|9080|v1|reviews.default.svc.cluster.local".
	Name string
	// Host, Subset and Port are the parts of the name. Subset may be empty.
	Host   string
	Subset string
	Port   uint16
	// Resolution says how endpoints are found.
	Resolution Resolution
	// Balancer says how one of them is picked.
	Balancer Balancer
	// Hash, for RingHash and Maglev, says by what of a request.
	Hash *HashPolicy
	// RingSize is the least number of points on a ring (1,024 by default, MaxRingSize at most),
	// TableSize the size of a Maglev table, a prime (65,537 by default).
	RingSize, TableSize int
	// ConnectTimeout bounds a dial; 0 means 10 s.
	ConnectTimeout time.Duration
	// Pool bounds connections and requests; Outlier takes failing endpoints out; Warmup
	// and Locality bend the balancer's choice. The zero value and nil mean none of it.
	Pool      Pool
	Outlier   *Outlier
	Warmup    *Warmup
	Locality  *Locality
	Endpoints []*Endpoint
	// Protocol is what the endpoints speak, HTTP2 how, where that is HTTP/2; TLS, where not
	// nil, wraps it.
	Protocol Protocol
	HTTP2    HTTP2
	TLS      *ClientTLS
	// ProxyProtocol is the version of the PROXY protocol's header that begins each
	// connection, 1 or 2; 0 for none.
	ProxyProtocol uint8
	// Service is what the cluster belongs to, for telemetry, and External says that it
	// stands outside of the mesh.
	Service  Service
	External bool
	Origin   Origin
}

// Service names what clusters belong to.
type Service struct {
	// Host is "reviews.default.svc.cluster.local", Name "reviews" (the whole host where the
	// service is none of Kubernetes), Namespace "default".
	Host, Name, Namespace string
}

// Resolution says where a cluster's endpoints come from.
type Resolution uint8

const (
	// ResolutionStatic: the endpoints listed are IP addresses or unix sockets.
	ResolutionStatic Resolution = iota
	// ResolutionDNS: the endpoints listed are names, each of which stands for all
	// the addresses it resolves to.
	ResolutionDNS
	// ResolutionLogicalDNS: as ResolutionDNS, but only the first address is used at a time
	// (DNS_ROUND_ROBIN).
	ResolutionLogicalDNS
	// ResolutionOriginal: the endpoint is where the request was sent to
	// (PassthroughCluster, ServiceEntry resolution NONE).
	ResolutionOriginal
)

// Balancer is a way to pick an endpoint.
type Balancer uint8

const (
	// LeastRequest takes the less busy of two random endpoints.
	LeastRequest Balancer = iota
	// RoundRobin takes them in turn.
	RoundRobin
	// Random takes any.
	Random
	// RingHash and Maglev take the same for the same hash of a request.
	RingHash
	Maglev
)

// Endpoint is one address of a cluster.
type Endpoint struct {
	// Address is "10.0.0.1:8080", "[::1]:8080", "name.example.com:443" or
	// "unix:///path".
	Address string
	// Weight is relative to the cluster's other endpoints; 0 counts as 1.
	Weight uint32
	// Locality is "region/zone/subzone", or empty.
	Locality string
	// Workload names what runs there, "default/reviews-v1", for telemetry, and
	// ServiceAccount as whom; empty where that is not known.
	Workload       string
	ServiceAccount string
	Labels         map[string]string
}
