package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// loadBalancer checks how an endpoint is picked. outlier is the outlier detection
// that stands beside it.
func (c *checker) loadBalancer(at *config.Path, lb *networking.LoadBalancerSettings, outlier *networking.OutlierDetection) {
	if lb == nil {
		return
	}
	//lint:ignore SA1019 deprecated and still in files
	if lb.GetSimple() == networking.LoadBalancerSettings_LEAST_CONN {
		c.info(Deprecated, at.Field("simple"), "LEAST_CONN is deprecated: write LEAST_REQUEST")
	}
	c.consistentHash(at.Field("consistentHash"), lb.GetConsistentHash())
	c.locality(at.Field("localityLbSetting"), lb.LocalityLbSetting, outlier)
	c.zoneAware(at.Field("zoneAwareLbSetting"), lb.ZoneAwareLbSetting, outlier)
	c.warmup(at, lb)
}

// maxMaglevTable is the first table size that is too large (Envoy's MaglevLbConfig).
const maxMaglevTable = 5000011

func (c *checker) consistentHash(at *config.Path, hash *networking.LoadBalancerSettings_ConsistentHashLB) {
	if hash == nil {
		return
	}
	if hash.HashKey == nil {
		c.warn(NoEffect, at, "nothing is hashed, so endpoints are picked at random: give httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName")
	}
	c.hashCookie(at.Field("httpCookie"), hash.GetHttpCookie())
	//lint:ignore SA1019 deprecated and still in files
	if size := hash.MinimumRingSize; size != 0 {
		c.warn(Deprecated, at.Field("minimumRingSize"), "minimumRingSize is deprecated: write ringHash: {minimumRingSize: %d}", size)
		if hash.HashAlgorithm != nil {
			c.fail(Conflict, at.Field("minimumRingSize"), "minimumRingSize excludes ringHash and maglev: remove it")
		}
		c.ringSize(at.Field("minimumRingSize"), size)
	}
	if ring := hash.GetRingHash(); ring != nil {
		c.ringSize(at.Field("ringHash").Field("minimumRingSize"), ring.MinimumRingSize)
	}
	if maglev := hash.GetMaglev(); maglev != nil {
		switch size := maglev.TableSize; {
		case size == 0:
			c.fail(Missing, at.Field("maglev").Field("tableSize"), "maglev needs a tableSize: a prime number such as 65537")
		case size >= maxMaglevTable:
			c.fail(OutOfRange, at.Field("maglev").Field("tableSize"), "%d is too large: it must be below %d", size, maxMaglevTable)
		case !isPrime(size):
			c.fail(OutOfRange, at.Field("maglev").Field("tableSize"), "%d is not a prime number: write one such as 65537", size)
		}
	}
}

// ringSize checks the least size of a ring.
func (c *checker) ringSize(at *config.Path, size uint64) {
	if size > router.MaxRingSize {
		c.warn(OutOfRange, at, "a ring has at most %d points, so that it has no more than those: write a smaller number", router.MaxRingSize)
	}
}

// hashCookie checks a cookie that may be issued: all of it goes into a set-cookie header.
func (c *checker) hashCookie(at *config.Path, cookie *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie) {
	if cookie == nil {
		return
	}
	const wanted = "%q has a character that would end it in a set-cookie header: take it out"
	switch {
	case cookie.Name == "":
		c.fail(Missing, at.Field("name"), "a cookie needs a name")
	case !staysInCookie(cookie.Name, " \t\",="):
		c.fail(BadHeader, at.Field("name"), wanted, cookie.Name)
	}
	if !staysInCookie(cookie.Path, "") {
		c.fail(BadHeader, at.Field("path"), wanted, cookie.Path)
	}
	for i, a := range cookie.Attributes {
		if !staysInCookie(a.GetName(), "=") {
			c.fail(BadHeader, at.Field("attributes").Index(i).Field("name"), wanted, a.GetName())
		}
		if !staysInCookie(a.GetValue(), "") {
			c.fail(BadHeader, at.Field("attributes").Index(i).Field("value"), wanted, a.GetValue())
		}
	}
}

// staysInCookie reports whether a text ends no part of a set-cookie header (RFC 6265 section
// 4.1.1), and has none of some other bytes either.
func staysInCookie(s, others string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f || s[i] == ';' || strings.IndexByte(others, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// isPrime reports whether n is a prime number; 1 passes, as in Envoy.
func isPrime(n uint64) bool {
	if n < 4 {
		return n > 0
	}
	if n%2 == 0 {
		return false
	}
	for d := uint64(3); d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// warmup checks how new endpoints get their first traffic.
func (c *checker) warmup(at *config.Path, lb *networking.LoadBalancerSettings) {
	//lint:ignore SA1019 deprecated and still in files
	if lb.WarmupDurationSecs != nil {
		c.info(Deprecated, at.Field("warmupDurationSecs"), "warmupDurationSecs is deprecated: write warmup: {duration: ...}")
	}
	warmup := lb.Warmup
	if warmup == nil {
		return
	}
	at = at.Field("warmup")
	if warmup.Duration == nil {
		c.fail(Missing, at.Field("duration"), "warmup needs a duration")
	}
	c.duration(at.Field("duration"), warmup.Duration)
	if v := warmup.MinimumPercent.GetValue(); v > 100 {
		c.fail(OutOfRange, at.Field("minimumPercent"), "%v is not a percentage: write a number from 0 to 100", v)
	}
	if v := warmup.Aggression; v != nil && v.Value < 1 {
		c.fail(OutOfRange, at.Field("aggression"), "%v is too little: 1 (steady) or more", v.Value)
	}
	switch simple := lb.GetSimple(); {
	case simple == networking.LoadBalancerSettings_RANDOM, simple == networking.LoadBalancerSettings_PASSTHROUGH, lb.GetConsistentHash() != nil:
		c.warn(NoEffect, at, "warmup works with LEAST_REQUEST and ROUND_ROBIN only: change simple, or remove it")
	}
}

// topologyLabels are the labels whose order failover decides.
var topologyLabels = []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}

func (c *checker) locality(at *config.Path, lb *networking.LocalityLoadBalancerSetting, outlier *networking.OutlierDetection) {
	if lb == nil {
		return
	}
	if len(lb.Distribute) > 0 && len(lb.Failover) > 0 {
		c.fail(Conflict, at.Field("failover"), "distribute and failover exclude each other: keep one")
		return
	}
	if len(lb.Failover) > 0 {
		for i, label := range lb.FailoverPriority {
			if slices.Contains(topologyLabels, label) {
				c.fail(Conflict, at.Field("failoverPriority").Index(i), "with failover, the order of regions and zones is given already: remove %q, or failover", label)
			}
		}
	}
	c.distribute(at.Field("distribute"), lb.Distribute)
	for i, failover := range lb.Failover {
		c.failover(at.Field("failover").Index(i), failover.From, failover.To)
	}
	c.failoverNeedsOutlier(at, len(lb.Failover), len(lb.FailoverPriority), outlier)
}

// failoverNeedsOutlier warns of failover that nothing triggers.
func (c *checker) failoverNeedsOutlier(at *config.Path, failovers, priorities int, outlier *networking.OutlierDetection) {
	if failovers+priorities == 0 || outlier != nil {
		return
	}
	name := "failover"
	if failovers == 0 {
		name = "failoverPriority"
	}
	c.warn(NoEffect, at.Field(name), "without outlierDetection no endpoint counts as failed: add it to the same policy")
}

func (c *checker) failover(at *config.Path, from, to string) {
	switch {
	case from == to:
		c.fail(Conflict, at.Field("to"), "%q fails over to itself: name another region", from)
	case strings.ContainsAny(from, "/*"):
		c.fail(OutOfRange, at.Field("from"), "%q must be a region alone, without zone and wildcard", from)
	case strings.ContainsAny(to, "/*"):
		c.fail(OutOfRange, at.Field("to"), "%q must be a region alone, without zone and wildcard", to)
	}
}

func (c *checker) distribute(at *config.Path, rules []*networking.LocalityLoadBalancerSetting_Distribute) {
	var sources localitySet
	for i, rule := range rules {
		at := at.Index(i)
		if problem := sources.add(rule.From); problem != "" {
			c.fail(OutOfRange, at.Field("from"), "%q %s", rule.From, problem)
		}
		var total uint64
		var targets localitySet
		for _, to := range sortedKeys(rule.To) {
			weight := rule.To[to]
			if weight < 1 || weight > 100 {
				c.fail(BadWeights, at.Field("to").Key(to), "%d is not a share: write a number from 1 to 100", weight)
			}
			if problem := targets.add(to); problem != "" {
				c.fail(OutOfRange, at.Field("to").Key(to), "%q %s", to, problem)
			}
			total += uint64(weight)
		}
		if total != 100 {
			c.fail(BadWeights, at.Field("to"), "the shares add up to %d: they must add up to 100", total)
		}
	}
}

// localitySet is a set of localities, region/zone/subzone, that must not overlap.
type localitySet []string

// add says what is wrong with a locality, on its own or beside those before it.
func (s *localitySet) add(locality string) string {
	if strings.Contains(locality, "*") && strings.Index(locality, "*") != len(locality)-1 {
		return "may have \"*\" at its end only"
	}
	parts := strings.SplitN(locality, "/", 3)
	if slices.Contains(parts, "") {
		return "has an empty part: write region/zone/subzone, region/zone or region"
	}
	// "region" and "region/*" are the same, and so on.
	prefix := strings.TrimSuffix(strings.TrimSuffix(locality, "*"), "/")
	wildcard := strings.HasSuffix(locality, "*")
	for _, other := range *s {
		covered := other == "" || other == prefix || strings.HasPrefix(prefix, other+"/")
		// A wildcard after narrower ones is for the rest.
		if covered || !wildcard && strings.HasPrefix(other, prefix+"/") {
			return "overlaps with one before it: remove it, or narrow the other"
		}
	}
	*s = append(*s, prefix)
	return ""
}

func (c *checker) zoneAware(at *config.Path, lb *networking.ZoneAwareLoadBalancerSetting, outlier *networking.OutlierDetection) {
	if lb == nil {
		return
	}
	for i, failover := range lb.Failover {
		c.failover(at.Field("failover").Index(i), failover.From, failover.To)
	}
	for i, label := range lb.FailoverPriority {
		if slices.Contains(topologyLabels, label) {
			c.fail(Conflict, at.Field("failoverPriority").Index(i), "regions and zones are ordered already: remove %q", label)
		}
	}
	if lb.MinClusterSize != nil && lb.MinClusterSize.Value == 0 {
		c.fail(OutOfRange, at.Field("minClusterSize"), "0 is too little: 1 or more, or leave it out for 6")
	}
	c.failoverNeedsOutlier(at, len(lb.Failover), len(lb.FailoverPriority), outlier)
}
