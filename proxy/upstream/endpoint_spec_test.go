package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/router"
)

// An endpoint knows what the newest specification says of it, be it by its address or by a
// name that stands for it; one that a request named is known to none.
func TestEndpointSpec(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, z := newNameBench(t, nil)
		defer b.close()
		z.set("a.test", time.Minute, "10.0.0.1", "10.0.0.2")
		b.update(asDNS, "a.test:80", "10.0.0.2:80", "10.0.0.3:80")
		synctest.Wait()
		for address, i := range map[string]int{"10.0.0.1:80": 0, "10.0.0.2:80": 1, "10.0.0.3:80": 2} {
			if got := b.endpoint(address).Spec(); got != b.spec.Endpoints[i] {
				t.Errorf("%s is of %+v, want %s", address, got, b.spec.Endpoints[i].Address)
			}
		}
		kept := b.endpoint("10.0.0.3:80")
		b.update(asDNS, "10.0.0.3:80")
		if kept != b.endpoint("10.0.0.3:80") || kept.Spec() != b.spec.Endpoints[0] {
			t.Errorf("after a change it is of %+v", kept.Spec())
		}
		b.update(func(c *router.Cluster) { c.Resolution = router.ResolutionOriginal })
		if got := b.c.Pick(&Choice{Target: "10.0.0.9:80"}).Spec(); got != nil {
			t.Errorf("an endpoint that a request named is of %+v", got)
		}
	})
}
