package validate

import (
	"strings"
	"testing"
)

func TestLoadBalancer(t *testing.T) {
	t.Parallel()
	const at = "trafficPolicy.loadBalancer."
	wants := []want{
		{`consistentHash: {useSourceIp: true, maglev: {}}`, "E Missing @consistentHash.maglev.tableSize"},
		{`consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}`, "E OutOfRange @consistentHash.maglev.tableSize"},
		{`consistentHash: {useSourceIp: true, maglev: {tableSize: 4999999}}`, ""},
		{`consistentHash: {useSourceIp: true, minimumRingSize: 5, ringHash: {}}`, "W Deprecated @consistentHash.minimumRingSize; E Conflict @consistentHash.minimumRingSize"},
		{`consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 1048577}}`, "W OutOfRange @consistentHash.ringHash.minimumRingSize"},
		{`consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 1048576}}`, ""},
		{`consistentHash: {useSourceIp: true, minimumRingSize: 18446744073709551615}`, "W Deprecated @consistentHash.minimumRingSize; W OutOfRange @consistentHash.minimumRingSize"},
		{`consistentHash: {httpCookie: {name: ""}}`, "E Missing @consistentHash.httpCookie.name"},
		{`consistentHash: {httpCookie: {name: "a=b"}}`, "E BadHeader @consistentHash.httpCookie.name"},
		{`consistentHash: {httpCookie: {name: "a\r\nb", path: "/\r\nx: y", attributes: [{name: "a;b"}, null, {name: Domain, value: "a\nb"}]}}`,
			"E BadHeader @consistentHash.httpCookie.name; E BadHeader @consistentHash.httpCookie.path; " +
				"E BadHeader @consistentHash.httpCookie.attributes[0].name; E BadHeader @consistentHash.httpCookie.attributes[2].value"},
		{`consistentHash: {httpCookie: {name: __Host-a.b, path: /a b, ttl: 0s, attributes: [{name: Secure}, {name: Expires, value: "Wed, 09 Jun 2027 10:18:14 GMT"}]}}`, ""},
		{`warmup: {}`, "E Missing @warmup.duration"},
		{`warmup: {duration: 0s, aggression: 0.5, minimumPercent: 100}`, "E BadDuration @warmup.duration; E OutOfRange @warmup.aggression"},
		{`consistentHash: {useSourceIp: true}, warmup: {duration: 1s}`, "W NoEffect @warmup"},
		{`localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [x, topology.istio.io/subzone]}`, "E Conflict @localityLbSetting.failoverPriority[1]; W NoEffect @localityLbSetting.failover"},
		{`localityLbSetting: {failover: [{from: "*", to: b}, {from: a, to: b/c}]}`, "E OutOfRange @localityLbSetting.failover[0].from; E OutOfRange @localityLbSetting.failover[1].to; W NoEffect @localityLbSetting.failover"},
		{`localityLbSetting: {distribute: [{from: a, to: {b: 0, c: 100}}]}`, "E BadWeights @localityLbSetting.distribute[0].to[b]"},
		{`localityLbSetting: {distribute: [{from: a/b, to: {a/*: 50, a/b: 50}}, {from: a/b/*, to: {c: 100}}]}`,
			"E OutOfRange @localityLbSetting.distribute[0].to[a/b]; E OutOfRange @localityLbSetting.distribute[1].from"},
		{`localityLbSetting: {distribute: [{from: "a*/b", to: {a//c: 100}}]}`, "E OutOfRange @localityLbSetting.distribute[0].from; E OutOfRange @localityLbSetting.distribute[0].to[a//c]"},
		{`localityLbSetting: {distribute: [{from: "*", to: {a: 100}}, {from: b, to: {a: 100}}]}`, "E OutOfRange @localityLbSetting.distribute[1].from"},
		{`zoneAwareLbSetting: {failover: [{from: a, to: a}], failoverPriority: [topology.kubernetes.io/zone], minClusterSize: 0}`,
			"E Conflict @zoneAwareLbSetting.failover[0].to; E Conflict @zoneAwareLbSetting.failoverPriority[0]; E OutOfRange @zoneAwareLbSetting.minClusterSize; W NoEffect @zoneAwareLbSetting.failover"},
	}
	for i := range wants {
		wants[i].conditions = strings.ReplaceAll(wants[i].conditions, "@", at)
	}
	expect(t, "DestinationRule", "{host: b, trafficPolicy: {loadBalancer: {$}}}", wants)
}

func TestLocalitySet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		first, second string
		overlap       bool
	}{
		{"*", "a", true}, {"a", "*", false}, {"a", "b", false}, {"a", "a", true}, {"a", "a/*", true}, {"a/*", "a", true},
		{"a/*", "a/b", true}, {"a/b", "a/*", false}, {"a/b", "a", true}, {"a/b/c", "a/b", true}, {"a/b", "a/b/c", true},
		{"a/b/*", "a/b/c", true}, {"a/b/c", "a/b/*", false}, {"a/b", "ab", false}, {"a", "ab", false},
	}
	for _, tt := range tests {
		var s localitySet
		if problem := s.add(tt.first); problem != "" {
			t.Errorf("%s: %s", tt.first, problem)
		}
		if problem := s.add(tt.second); (problem != "") != tt.overlap {
			t.Errorf("%s after %s: %q", tt.second, tt.first, problem)
		}
	}
}

func TestIsPrime(t *testing.T) {
	t.Parallel()
	primes := map[uint64]bool{0: false, 1: true, 2: true, 3: true, 4: false, 9: false, 65536: false, 65537: true, 4999999: true}
	for n, want := range primes {
		if isPrime(n) != want {
			t.Errorf("%d: %v", n, !want)
		}
	}
}
