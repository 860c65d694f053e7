package main

import (
	"fmt"
	"slices"
	"strings"
)

// program is what an image runs.
type program struct {
	// name is the image's, and its binary's.
	name string
	// path is the Go package, from the root of the sources.
	path string
	// what says what it is.
	what string
	// sample: it is versioned on its own, as the samples' manifests name it.
	sample bool
}

// sampleVersion is the tag that deploy/samples asks for.
const sampleVersion = "0.1.0"

var programs = []program{
	{name: "sluice-gateway", path: "./cmd/gateway", what: "an edge gateway that serves Istio's traffic API and Ingress"},
	{name: "sluice-sidecar", path: "./cmd/sidecar", what: "a sidecar that serves Istio's traffic API"},
	{name: "bookinfo", path: "./deploy/samples/bookinfo/cmd/bookinfo", what: "the bookinfo sample", sample: true},
	{name: "httpbin", path: "./deploy/samples/httpbin/cmd/httpbin", what: "the httpbin sample", sample: true},
	{name: "website", path: "./deploy/samples/website/cmd/website", what: "the website sample", sample: true},
}

// choose returns the programs of a list of names; all for an empty one.
func choose(names string) (list []program, err error) {
	if names == "" {
		return programs, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no image %q", name)
		}
		list = append(list, programs[i])
	}
	return list, nil
}
