// Package kube has those kinds of Kubernetes' own API that the front end reads, with the fields
// that it reads: the types of k8s.io/api bring the whole of Kubernetes into a program, and as
// much of each Pod into its memory. Fields that mean nothing here are there by name, so that
// a misspelt one is found out.
//
// It must not know what the objects mean.
package kube
