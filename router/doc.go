// Package router is the routing engine that the gateway and the sidecar share.
//
// It owns the path from plain data to a decision: a [Spec] (listeners, virtual
// hosts, routes and clusters as a front end wrote them) becomes, through
// [Build], an immutable [Table], and [Table.Route] answers which virtual host,
// route and destination a request gets. [Table.Explain] runs the same code and
// says why.
//
// It must not know where the data came from (no Istio or Kubernetes types, no
// files), how messages travel (no net/http, no sockets), or what time it is: it
// is pure, starts no goroutine, and takes randomness as an argument.
//
// # How a request finds its route
//
// Hosts are looked up in a map, then by the suffixes that wildcards have. Inside a
// virtual host the first route that matches wins, but it is found through an index:
// a trie over the bytes of the path leads to the routes with that path or a prefix
// of it, and where many of them share it, tries over the methods, headers, query
// parameters and authorities that they want tell them apart. What the index offers
// is looked through in the order of the routes. So the cost of a request grows with
// the length of its texts, not with the number of routes. Regular expressions are
// filed under the text that they begin with; many that begin alike, and conditions
// that are all inverted, are tried one by one.
//
// # How a connection finds its chain
//
// On a listener with chains a connection comes first: [Table.Chain] looks its TLS server
// name up as hosts are looked up, and the chain either has the route table of its requests
// (they name it in [Request.Chain]) or streams, of which [CompiledChain.Stream] finds the
// one for the address that was called, in order: they are few.
//
// # How a change finds its way
//
// A front end keeps the pointers of what did not change. [Build] compares them with
// those of the table before, compiles what is new, and shares everything else; the
// maps of hosts and cluster IDs are cut into shards, of which it copies the few that
// change.
package router
