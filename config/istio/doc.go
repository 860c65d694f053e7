// Package istio is the front end for Istio's traffic API: it turns Gateways,
// VirtualServices, DestinationRules, ServiceEntries, WorkloadEntries, Sidecars and
// the Kubernetes objects behind them (Services, EndpointSlices, Endpoints, Pods)
// into a router.Spec for one proxy, and everything that is wrong with them into
// conditions.
//
// A [Compiler] keeps what it has worked out: a change costs what it changed, and the
// parts of the Spec that it did not touch keep their pointers.
//
// The package must not know where objects come from nor anything about sockets. How
// a field is spelt is package decode's business, what a value may be within one
// object is package validate's.
package istio
