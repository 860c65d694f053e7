package istio

import (
	"math"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// applyBalancer sets how a cluster's endpoints are picked, by default the less busy of
// two. PASSTHROUGH sends requests where they were sent to, as clusters without
// endpoints of their own do.
func applyBalancer(built *router.Cluster, lb *networking.LoadBalancerSettings) {
	if hash := lb.GetConsistentHash(); hash != nil {
		applyHash(built, hash)
		return
	}
	switch lb.GetSimple() {
	case networking.LoadBalancerSettings_ROUND_ROBIN:
		built.Balancer = router.RoundRobin
	case networking.LoadBalancerSettings_RANDOM:
		built.Balancer = router.Random
		return
	case networking.LoadBalancerSettings_PASSTHROUGH:
		built.Resolution = router.ResolutionOriginal
		return
	}
	built.Warmup = compileWarmup(lb)
}

// applyHash sets what of a request picks an endpoint. Where nothing does, any is as
// good.
func applyHash(built *router.Cluster, hash *networking.LoadBalancerSettings_ConsistentHashLB) {
	if built.Hash = compileHash(hash); built.Hash == nil {
		built.Balancer = router.Random
		return
	}
	if maglev := hash.GetMaglev(); maglev != nil {
		built.Balancer, built.TableSize = router.Maglev, int(maglev.TableSize)
		return
	}
	size := hash.GetMinimumRingSize()
	if ring := hash.GetRingHash(); ring != nil {
		size = ring.MinimumRingSize
	}
	// Above what an int holds it would be none, or a negative one.
	built.Balancer, built.RingSize = router.RingHash, int(min(size, math.MaxInt32))
}

// compileHash returns what a request is hashed by, nil for nothing.
func compileHash(hash *networking.LoadBalancerSettings_ConsistentHashLB) *router.HashPolicy {
	switch key := hash.GetHashKey().(type) {
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		return &router.HashPolicy{Kind: router.HashHeader, Name: strings.ToLower(key.HttpHeaderName)}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		return &router.HashPolicy{Kind: router.HashQuery, Name: key.HttpQueryParameterName}
	case *networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		if key.UseSourceIp {
			return &router.HashPolicy{Kind: router.HashSourceIP}
		}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		return compileCookie(key.HttpCookie)
	}
	return nil
}

// compileCookie returns the hash of a cookie. Whether there is a ttl, be it 0, says
// whether the cookie is issued to those who have none.
func compileCookie(cookie *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie) *router.HashPolicy {
	out := &router.HashPolicy{
		Kind: router.HashCookie, Name: cookie.GetName(), Path: cookie.GetPath(),
		IssueCookie: cookie.GetTtl() != nil, TTL: cookie.GetTtl().AsDuration(),
	}
	for _, a := range cookie.GetAttributes() {
		out.Attributes = append(out.Attributes, router.Header{Name: a.Name, Value: a.Value})
	}
	return out
}

// compileWarmup returns how a new endpoint's traffic grows, nil where it does not.
func compileWarmup(lb *networking.LoadBalancerSettings) *router.Warmup {
	out := &router.Warmup{Duration: lb.GetWarmupDurationSecs().AsDuration(), MinPercent: 10, Aggression: 1}
	if w := lb.GetWarmup(); w != nil {
		out.Duration = w.Duration.AsDuration()
		if w.MinimumPercent != nil {
			out.MinPercent = w.MinimumPercent.Value
		}
		if w.Aggression != nil {
			out.Aggression = w.Aggression.Value
		}
	}
	if out.Duration <= 0 {
		return nil
	}
	return out
}
