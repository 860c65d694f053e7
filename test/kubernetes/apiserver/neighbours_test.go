package apiserver

import (
	"strings"
	"testing"
	"time"
)

// TestNeighbours runs two gateways that have nothing to do with each other in one cluster: what
// the one writes into objects, the other does not write over, so that writing ends.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	var list []string
	for range 2 {
		ns := s.namespace(t)
		list = append(list, ns)
		s.deploy(t, ns, "web", "v1")
		// One rule is good, the other is not.
		s.apply(t, edge(ns, ns+".example.com", `[{match: [{uri: {regex: "("}}], route: [{destination: {host: web}}]}, {route: [{destination: {host: web}}]}]`))
	}
	for _, ns := range list {
		s.gateway(t, ns)
	}
	writes := func() (n int) {
		for _, ns := range list {
			for _, e := range s.audit(t, ns) {
				if strings.Contains(e.RequestURI, "/status") {
					n++
				}
			}
		}
		return n
	}
	await(t, "statuses are written", func() error { return atLeast(int64(writes()), 4) })
	// Whoever writes over another does so as long as the other answers.
	time.Sleep(3 * time.Second)
	if n := writes(); n > 8 {
		t.Errorf("statuses of 4 objects have been written %d times", n)
	} else {
		t.Logf("statuses of 4 objects have been written %d times", n)
	}
}
