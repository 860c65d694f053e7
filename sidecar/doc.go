// Package sidecar is the mesh role: beside one workload, it serves what that workload
// calls (outbound, by the mesh's VirtualServices) and, where asked to, what calls the
// workload (inbound).
//
// It owns these listeners and the routes to the local application. It must not know
// Kubernetes, ACME, nor where configuration comes from.
package sidecar
