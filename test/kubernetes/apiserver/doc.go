// Package apiserver holds the gateway, as its users start it, to a real API server: etcd and
// kube-apiserver, the Istio CRDs of the pinned istio.io/api module, real clients, and the
// gateway's own service account. Pods are servers of the test itself.
//
// All of it runs in a network namespace of its own, in which every address of
// 10.244.0.0/16 is the loopback device: so pods have addresses as in a cluster, ports are
// never taken, and nothing gets out. It needs no root where users may make namespaces.
package apiserver
