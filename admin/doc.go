// Package admin owns what a proxy tells its operator over HTTP: the admin server
// (configuration, listeners, clusters, conditions, explanations, metrics, profiles)
// and the status server that a load balancer or kubelet asks for health.
//
// Both are handlers over small plain inputs, functions that report the state of the
// moment. The package must not know the data path's insides, nor who runs it.
package admin
