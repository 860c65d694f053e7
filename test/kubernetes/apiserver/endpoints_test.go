package apiserver

import (
	"slices"
	"testing"
	"time"

	discovery "k8s.io/api/discovery/v1"
)

// promptly is how long after the API server's event an endpoint may still get requests, in
// half of the cases at least: in the others the machine may have been busy with something else.
const promptly = 100 * time.Millisecond

// TestEndpointsLeavePromptly takes endpoints away in each of the ways that there are, and
// measures how long they still get requests.
func TestEndpointsLeavePromptly(t *testing.T) {
	s := shared(t)
	ns := s.namespace(t)
	app := s.deploy(t, ns, "web", "v1", "v1")
	g := s.gateway(t, ns)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	g.awaitPod(t, "web.example.com", "/", "web")
	stays, goes := app.pods[0], app.pods[1]

	load := g.load(4, "web.example.com", "/")
	defer load.finish(t, 1000)
	for name, without := range map[string][]discovery.Endpoint{
		"gone":        ready(stays),
		"unready":     append(ready(stays), goes.endpoint(false, false)),
		"terminating": append(ready(stays), goes.endpoint(false, true)),
	} {
		t.Run(name, func(t *testing.T) {
			var late []time.Duration
			for range 10 {
				app.publish(t, ready(stays, goes)...)
				before := goes.requests.Load()
				await(t, "the endpoint gets requests", func() error { return atLeast(goes.requests.Load(), before+5) })
				late = append(late, app.lastAfter(t, goes, without))
			}
			slices.Sort(late)
			t.Logf("the last request came %v after the event, of 10 times", late)
			if half := late[len(late)/2-1]; half > promptly {
				t.Errorf("an endpoint that is %s still gets requests after %v in half of the cases, want at most %v", name, half, promptly)
			}
		})
	}
}

// lastAfter publishes endpoints without one pod, and returns how long after that the
// pod's last request came.
func (a *application) lastAfter(t *testing.T, gone *pod, endpoints []discovery.Endpoint) time.Duration {
	t.Helper()
	event := a.publish(t, endpoints...)
	other := a.pods[0]
	// When hundreds have gone to the other one, none will come any more.
	before, since := other.requests.Load(), time.Now()
	await(t, "the other endpoint gets requests", func() error {
		if time.Since(since) < 2*promptly {
			return atLeast(0, 1)
		}
		return atLeast(other.requests.Load(), before+100)
	})
	return max(0, time.Unix(0, gone.last.Load()).Sub(event))
}

// TestLastEndpointGoes: nothing is left to answer, and then something is again.
func TestLastEndpointGoes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	app := s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	g.awaitPod(t, "web.example.com", "/", "web-v1-0")
	app.publish(t)
	g.awaitStatus(t, "web.example.com", "/", 503)
	app.publish(t, ready(app.start(t, "v2"))...)
	g.awaitPod(t, "web.example.com", "/", "web-v2-1")
}
