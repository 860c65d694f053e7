// Package ingress is the front end for Kubernetes' Ingress: it says in Istio's API what the
// Ingresses say (a [Compiler] for a proxy, [Convert] for people), and package config/istio
// compiles that together with everything else. So there is one router, and an Ingress can be
// replaced by what it means.
//
// It owns what Ingresses, IngressClasses and the annotations of ingress-nginx mean, and
// which paths win over which. All rules for a host, of whichever Ingress, become one
// VirtualService; certificates become the servers of Gateways; what concerns connections to
// a Service becomes subsets of a DestinationRule.
//
// An annotation that restricts who may do something and that cannot be enforced closes the
// Ingress' paths: they answer 503. It must not know where objects come from, nor how
// requests are routed.
package ingress
