// Package gateway is the edge role: it serves the listeners that Gateways ask for, on
// the sockets that they get on this machine.
//
// It owns how a listener's address and port become sockets (the process's address, port
// maps, node ports) and what of that cannot be. It must not know Kubernetes, nor where
// configuration comes from.
package gateway
