package istio

import (
	"math"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// TestRingSizes: a ring's size stays one, however large a number an object has for it.
func TestRingSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []uint64{1, 1024, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		want := int(min(size, math.MaxInt32))
		for name, hash := range map[string]*networking.LoadBalancerSettings_ConsistentHashLB{
			"minimumRingSize": {MinimumRingSize: size},
			"ringHash": {HashAlgorithm: &networking.LoadBalancerSettings_ConsistentHashLB_RingHash_{
				RingHash: &networking.LoadBalancerSettings_ConsistentHashLB_RingHash{MinimumRingSize: size}}},
		} {
			hash.HashKey = &networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{UseSourceIp: true}
			var built router.Cluster
			applyHash(&built, hash)
			if built.Balancer != router.RingHash || built.RingSize != want {
				t.Errorf("%s %d: %d, want %d", name, size, built.RingSize, want)
			}
		}
	}
}
