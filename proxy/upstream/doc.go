// Package upstream owns what lives behind the route table: for each cluster the choice
// of an endpoint, and for each endpoint its connections, its counters and its state. All
// of that is keyed by identity (cluster name and address) and outlives every table.
//
// It must not know routes, nor what a request says beyond where it goes.
package upstream
