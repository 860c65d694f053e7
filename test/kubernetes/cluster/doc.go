// Package cluster holds the gateway to a whole Kubernetes node, as its users have it: the
// chart, an application as pods, what they type at kubectl, and rolling restarts under load.
//
// Its tests run inside the namespaces of the node, from the top of the checkout;
// ../test-cluster.sh sets all that up.
package cluster
