// Package ui owns the page at /ui of the admin server: a service graph drawn from live
// traffic, routes, endpoints, certificates, conditions and recent failures, of one proxy
// or of several together.
//
// The page is a handful of static files in the binary. What they show comes as one stream
// of events a second while somebody looks, and nothing is computed while nobody does. The
// package must not know the data path's insides, nor who runs it.
package ui
