package apiserver

import (
	"testing"
	"time"

	discovery "k8s.io/api/discovery/v1"
)

// promptly is how long after the API server's event an endpoint may still get requests.
const promptly = 100 * time.Millisecond

// leaves tells whether the worst of several endpoints that leave gets its last request promptly.
// The machine may be busy with something else for longer than that: hence some rounds, one of
// which has to hold the bound for all.
func leaves(t *testing.T, times int, leave func() time.Duration) {
	t.Helper()
	const rounds = 5
	var all []time.Duration
	for range rounds {
		var worst time.Duration
		for range times {
			worst = max(worst, leave())
		}
		if all = append(all, worst); worst <= promptly {
			break
		}
	}
	t.Logf("the last request came at most %v after the event, of %d times in a round", all, times)
	if all[len(all)-1] > promptly {
		t.Errorf("in no round were %d endpoints all without requests after %v", times, promptly)
	}
}

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
			leaves(t, 10, func() time.Duration {
				app.publish(t, ready(stays, goes)...)
				before := goes.requests.Load()
				await(t, "the endpoint gets requests", func() error { return atLeast(goes.requests.Load(), before+5) })
				return app.lastAfter(t, goes, without)
			})
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
