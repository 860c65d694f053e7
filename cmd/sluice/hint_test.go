package main

import (
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestListenerFor finds listeners by the port of the Gateway's server, which a Service may
// translate, before that of the socket.
func TestListenerFor(t *testing.T) {
	t.Parallel()
	state := proxyState{spec: &router.Spec{Listeners: []*router.Listener{
		{Name: "http", Port: 8080, NodePorts: []uint16{31380}, Tables: []*router.RouteTable{{Port: 80}}},
		{Name: "https", Port: 8443, Chains: []*router.Chain{{Name: "a", Table: &router.RouteTable{Port: 443}}}},
		{Name: "redis", Port: 16379, Chains: []*router.Chain{{Name: "b", Port: 6379, Streams: []*router.StreamRoute{{}}}}},
		{Name: "80 inside", Port: 80, Tables: []*router.RouteTable{{Port: 8000}}},
	}}}
	for port, want := range map[uint16]string{
		80: "http", 8080: "http", 31380: "http", 443: "https", 8443: "https", 6379: "redis", 16379: "redis", 8000: "80 inside", 81: "",
	} {
		got := ""
		if l, _ := state.listenerFor(port); l != nil {
			got = l.Name
		}
		if got != want {
			t.Errorf("port %d: %q, want %q", port, got, want)
		}
	}
	if got, want := state.listenerHint(), "these ports are served: 31380, 80, 443, 6379, 8000; choose one with --port, or add a server to a Gateway"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
