package forward_test

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// telling has what look makes of each exchange, when it is over, sent to the channel.
func telling[T any](look func(*proxy.Exchange) T) (chan T, func(*setup)) {
	seen := make(chan T, 100)
	return seen, func(s *setup) { s.engine.OnComplete = func(ex *proxy.Exchange) { seen <- look(ex) } }
}

func told[T any](t testing.TB, seen chan T) (v T) {
	t.Helper()
	select {
	case v = <-seen:
	case <-time.After(patience):
		t.Fatal("no exchange has completed")
	}
	return v
}

// An exchange tells of the cluster and the endpoint that were tried last, and the next one on
// the same connection nothing of them.
func TestTellsEndpoint(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	good := &router.Cluster{Name: "good", Endpoints: []*router.Endpoint{{Address: o.addr, Workload: "default/a"}}}
	bad := &router.Cluster{Name: "bad", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}}
	empty := &router.Cluster{Name: "empty"}
	original := &router.Cluster{Name: "original", Resolution: router.ResolutionOriginal}
	to := func(path, cluster string) *router.Route {
		return &router.Route{Name: path, Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: path}}, Destinations: []router.Destination{{Cluster: cluster}}}
	}
	faulty := to("/fault", "good")
	faulty.Fault = &router.Fault{AbortStatus: 418, AbortFraction: router.AllTraffic}
	type place struct {
		cluster  *router.Cluster
		endpoint *router.Endpoint
	}
	seen, tell := telling(func(ex *proxy.Exchange) place { return place{ex.Cluster, ex.Endpoint} })
	g := start(t, withRoutes([]*router.Cluster{good, bad, empty, original}, to("/good", "good"), to("/bad", "bad"), to("/empty", "empty"),
		to("/original", "original"), to("/none", "none"), faulty), tell)
	c := dial(t, g)
	for _, test := range []struct {
		path string
		want place
	}{
		{"/good", place{good, good.Endpoints[0]}}, {"/", place{}}, {"/bad", place{bad, bad.Endpoints[0]}}, {"/none", place{}},
		{"/empty", place{empty, nil}}, {"/fault", place{good, nil}}, {"/original", place{original, nil}},
	} {
		c.get(test.path)
		if got := told(t, seen); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.path, got, test.want)
		}
	}
}
