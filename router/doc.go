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
package router
