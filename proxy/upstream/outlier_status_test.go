package upstream

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/router"
)

// A look at a cluster tells how near each endpoint is to being ejected, until when it is, and
// what the policy bounds.
func TestHealthStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		policy := func(c *router.Cluster) {
			c.Outlier = &router.Outlier{Consecutive5xx: 3, ConsecutiveGateway: 5, ConsecutiveLocal: 5, SplitLocal: true, BaseEjection: time.Minute, Interval: time.Second, MaxEjectionPercent: 100}
			c.Pool = router.Pool{MaxConnections: 7, MaxPending: 8, MaxRequests: 9, MaxRetries: 10}
		}
		b := newBench(t, policy, "a:1", "b:1")
		defer b.close()
		b.happen("a:1", "200 500 503")
		b.happen("b:1", "refused")
		s := b.c.Status()
		a, other := s.Endpoints[0], s.Endpoints[1]
		if want := (HealthStatus{Errors: 2, GatewayErrors: 1}); a.HealthStatus != want {
			t.Errorf("%+v, want %+v", a.HealthStatus, want)
		}
		if want := (HealthStatus{LocalFailures: 1}); other.HealthStatus != want {
			t.Errorf("%+v, want %+v", other.HealthStatus, want)
		}
		if want := (LimitsStatus{7, 8, 9, 10}); s.Limits != want {
			t.Errorf("%+v, want %+v", s.Limits, want)
		}
		began := time.Now()
		b.happen("a:1", "500")
		a = b.c.Status().Endpoints[0]
		if until := a.EjectedUntil; a.Healthy || until.Sub(began).Round(time.Second) != time.Minute {
			t.Errorf("ejected for %v: %+v", until.Sub(began), a)
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		a = b.c.Status().Endpoints[0]
		if !a.Healthy || !a.EjectedUntil.IsZero() || a.Ejections != 1 {
			t.Errorf("let in again: %+v", a)
		}
		if text, err := json.Marshal(a); err != nil || strings.Contains(string(text), "ejectedUntil") {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// Who waits for a connection is told of the endpoint that it is to be one of.
func TestPendingStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) { c.Pool.MaxConnections = 1 }, "a:1")
		defer b.close()
		first := b.acquire("a:1")
		done := make(chan bool)
		go func() {
			b.done("a:1", b.acquire("a:1"))
			close(done)
		}()
		synctest.Wait()
		if a := b.c.Status().Endpoints[0]; a.Pending != 1 || a.Open != 1 || a.Active != 2 {
			t.Errorf("while one waits: %+v", a)
		}
		b.done("a:1", first)
		<-done
		if a := b.c.Status().Endpoints[0]; a.Pending != 0 || a.Active != 0 {
			t.Errorf("afterwards: %+v", a)
		}
	})
}
