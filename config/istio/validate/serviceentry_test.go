package validate

import "testing"

func TestServiceEntry(t *testing.T) {
	t.Parallel()
	const ports = "ports: [{number: 80, name: http, protocol: HTTP}]"
	expect(t, "ServiceEntry", "", []want{
		{`{hosts: ["*a.com", b_c], ` + ports + `}`, "W BadHost hosts[0]; E BadHost hosts[1]"},
		{`{hosts: [a.com], addresses: [10.0.0.0/8], resolution: DNS, ` + ports + `}`, "E Conflict addresses[0]"},
		{`{hosts: [a.com], resolution: STATIC, workloadSelector: {labels: {a: "*"}}, ` + ports + `}`, "E BadLabel workloadSelector.labels[a]"},
		{`{hosts: [a.com], resolution: STATIC, workloadSelector: {}, ` + ports + `}`, "W NoEffect workloadSelector.labels"},
		{`{hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: a}, {number: 81, name: a.b}], endpoints: [{address: "unix:///x"}]}`, "E BadName ports[1].name; E Conflict endpoints[0].address"},
		{`{hosts: [a.com], resolution: DNS, endpoints: [{address: a.b, labels: {"a b": c}, ports: {x: 1}}], ` + ports + `}`, "E BadLabel endpoints[0].labels[a b]; E BadName endpoints[0].ports[x]"},
		{`{hosts: [a.com, b.com], resolution: DNS, addresses: [1.1.1.1], ports: [{number: 443, name: tls, protocol: TLS}]}`, "W Conflict ports[0].protocol"},
		{`{hosts: [a.com, b.com], resolution: DNS, ports: [{number: 443, name: tls}]}`, "E Conflict ports[0].protocol"},
		{`{hosts: ["*.a.com", b.com], resolution: DYNAMIC_DNS, endpoints: [{address: c.com}], ` + ports + `}`, "E Conflict hosts[1]; W NoEffect endpoints"},
		{`{hosts: [a.com], exportTo: ["~"], ` + ports + `}`, ""},
		{`{hosts: [a.com], exportTo: ["~", "."], ` + ports + `}`, "E BadVisibility exportTo"},
		{`{hosts: [a.com], resolution: NONE, ports: [{number: 80, name: a, protocol: TCP}, {number: 81, name: b, protocol: mysql}]}`, "W Missing addresses"},
	})
}

func TestWorkloadEntry(t *testing.T) {
	t.Parallel()
	expect(t, "WorkloadEntry", "", []want{
		{`{address: a.com, ports: {http: 80}}`, ""},
		{`{address: "fe80::1"}`, ""},
		{`{}`, "E Missing address"},
		{`{network: net1}`, "W Missing address"},
		{`{address: "a b"}`, "E BadAddress address"},
		{`{address: "unix://rel", ports: {a: 1}}`, "E BadAddress address; E Conflict ports"},
		{`{address: 1.1.1.1, ports: {"a b": 1, c: 70000}, labels: {a: "b c"}}`, "E BadName ports[a b]; E BadPort ports[c]; E BadLabel labels[a]"},
	})
}
