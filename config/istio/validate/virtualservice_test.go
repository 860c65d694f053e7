package validate

import "testing"

const rule = `http: [{route: [{destination: {host: b}}]}]`

func TestVirtualService(t *testing.T) {
	t.Parallel()
	expect(t, "VirtualService", "", []want{
		{`{` + rule + `}`, ""},
		{`{tls: [{match: [{sniHosts: [a]}], route: [{destination: {host: b}}]}], tcp: [{route: [{destination: {host: b}}]}]}`, "E Conflict tls; E Conflict tcp; E BadHost tls[0].match[0].sniHosts[0]"},
		{`{http: [{delegate: {name: d}}]}`, "E Conflict http[0].delegate; E Missing http[0].route"},
		{`{hosts: [a], http: [{match: [{uri: {prefix: /a}}], delegate: {name: d, namespace: other}}]}`, ""},
		{`{hosts: [a], http: [{delegate: {name: d}, redirect: {uri: /}, directResponse: {status: 200}}]}`, "E Conflict http[0].redirect; E Conflict http[0].directResponse"},
		{`{hosts: [a], gateways: [gw.ns.svc.cluster.local], ` + rule + `}`, "W Deprecated gateways[0]"},
		{`{hosts: [a], gateways: [/g, n/, "A B/g"], ` + rule + `}`, "E BadName gateways[0]; E BadName gateways[1]; E BadName gateways[2]"},
		{`{hosts: [a], gateways: [mesh, "x y"], ` + rule + `}`, "W BadName gateways[1]"},
		{`{hosts: [a], gateways: [""], ` + rule + `}`, "E BadName gateways[0]"},
		{`{hosts: ["", "10.0.0.1", "fe80::1"], ` + rule + `}`, "E BadHost hosts[0]"},
		{`{hosts: ["*.foo.com", "*.com", c.org, c.org], ` + rule + `}`, "E Duplicate hosts[0]; E Duplicate hosts[3]"},
		{`{hosts: ["outbound_.80_._.e2e.foobar.mesh"], gateways: [g], tls: [{match: [{sniHosts: ["outbound_.80_._.e2e.foobar.mesh"]}], route: [{destination: {host: b}}]}]}`, ""},
		{`{hosts: [a], http: [{match: [{headers: {"@request.auth.claims.sub": {exact: x}}}, {withoutHeaders: {"@Request.Auth.Claims[a][b]": {}}}], route: [{destination: {host: b}}]}]}`,
			"E Unsupported http[0].match[0].headers[@request.auth.claims.sub]; E Unsupported http[0].match[1].withoutHeaders[@Request.Auth.Claims[a][b]]"},
		{`{hosts: [a], gateways: [g], http: [{match: [{headers: {"@request.auth.claims.sub": {exact: x}}}], route: [{destination: {host: b}}]}]}`, ""},
		{`{hosts: [a], gateways: [g], http: [{match: [{headers: {"@request.auth.claims": {exact: x}}}], route: [{destination: {host: b}}]}]}`, "E BadHeader http[0].match[0].headers[@request.auth.claims]"},
		{`{hosts: [a], exportTo: [default, "."], ` + rule + `}`, "E Duplicate exportTo[1]"},
	})
}

// TestCoveredBy compares the look-up of a covering host with the rule it stands for.
func TestCoveredBy(t *testing.T) {
	t.Parallel()
	hosts := []string{"a.com", "*.com", "b.org", "*", "*.a.com", "*a.com", "x.a.com", "*-a.com", "org", "a.com", "*.com"}
	for i, host := range hosts {
		for j, other := range hosts {
			if i == j {
				continue
			}
			first := map[string]int{host: i}
			if k, found := first[other]; !found || j < k {
				first[other] = j
			}
			want := covers(other, host) && (other != host || j < i)
			if got, found := coveredBy(host, i, first); found != want || found && got != j {
				t.Errorf("%s by %s: got %d, %v", host, other, got, found)
			}
		}
	}
}
