// Package decode turns the text of one object into the Go type of its kind: those of
// config/istio/resource (v1, whatever served version the text was written in) and of
// config/istio/kube.
//
// It knows how a field is spelt and what type it has, not what it means: that a
// value makes sense is package validate's to say.
package decode
