package validate

import "testing"

func TestUnreachableHTTP(t *testing.T) {
	t.Parallel()
	const all, one, first = "W Unreachable http[1]", "W Unreachable http[1].match[0]", "W Unreachable http[0].match[1]"
	r := func(fields string) string { return "{" + fields + " route: [{destination: {host: b}}]}" }
	m := func(match string) string { return r("match: [" + match + "],") }
	pairs := []struct{ a, b, conditions string }{
		{r(""), r(""), all},
		{r(""), m(`{port: 5}`), all},
		{r("name: x,"), m("{}") + "," + r("name: x,"), all + "; W Duplicate http[2].name; W Unreachable http[2]"},
		{m("{}"), m("{uri: {exact: /a}}"), all},
		{m("{uri: {}}"), m("{uri: {regex: a}}"), all},
		{m("{uri: {prefix: /}}"), m("{method: {exact: GET}}"), all},
		{m("{uri: {regex: .*}}"), m("{uri: {exact: /a}}"), all},
		{m("{uri: {prefix: /a}}"), m("{uri: {exact: /ab}}"), all},
		{m("{uri: {prefix: /a}}"), m("{uri: {exact: /b}}"), ""},
		{m("{uri: {exact: /a}}"), m("{uri: {prefix: /a}}"), ""},
		{m("{uri: {regex: /a}}"), m("{uri: {regex: /a}}"), all},
		{m("{uri: {regex: /a}}"), m("{uri: {regex: /b}}"), ""},
		{m("{uri: {prefix: /A}, ignoreUriCase: true}"), m("{uri: {exact: /aB}}"), all},
		{m("{uri: {prefix: /a}}"), m("{uri: {exact: /ab}, ignoreUriCase: true}"), ""},
		{m("{uri: {prefix: /a}, method: {exact: GET}}"), m("{uri: {prefix: /a}, method: {exact: POST}}"), ""},
		{m("{uri: {prefix: /a}, headers: {x: {}}}"), m("{uri: {prefix: /a}, headers: {x: {exact: v}, z: {}}}"), all},
		{m("{uri: {prefix: /a}, headers: {x: {exact: v}}}"), m("{uri: {prefix: /a}, headers: {x: {}}}"), ""},
		{m("{queryParams: {q: {prefix: a}}}"), m("{queryParams: {q: {exact: ab}}}"), all},
		{m("{withoutHeaders: {x: {exact: v}}}"), m("{withoutHeaders: {x: {exact: v}, z: {}}}"), all},
		{m("{withoutHeaders: {x: {exact: v}}}"), m("{withoutHeaders: {x: {prefix: v}}}"), ""},
		{m("{port: 80}"), m("{port: 80, scheme: {exact: http}}"), all},
		{m("{port: 80}"), m("{port: 81}"), ""},
		{m("{authority: {prefix: a}}"), m("{authority: {exact: ab}}"), all},
		{m("{gateways: [g1]}"), m("{gateways: [g1], uri: {exact: /}}"), all},
		{m("{gateways: [g1]}"), m("{gateways: [g1, g2]}"), ""},
		{m("{gateways: [g1]}"), m("{}"), ""},
		{m("{sourceLabels: {a: b}}"), m("{sourceLabels: {a: b, c: d}}"), all},
		{m("{sourceLabels: {a: b}}"), m("{}"), ""},
		{m("{sourceNamespace: one}"), m("{sourceNamespace: two}"), ""},
		// Two earlier rules shadow the blocks of the third.
		{m("{port: 80}") + "," + m("{port: 81}"), m("{port: 80}, {port: 81}"), "W Unreachable http[2]"},
		{m("{port: 80}, {port: 80}"), r(""), first},
		{m("{port: 80}"), m("{port: 80}, {port: 82}"), one},
		// The shorter prefix takes only the GET requests of the longer one's.
		{m("{uri: {prefix: /a}, method: {exact: GET}}"), m("{uri: {prefix: /ab}}"), one},
		{m("{uri: {prefix: /a}, headers: {x: {exact: v}}}"), m("{uri: {prefix: /ab}, headers: {x: {}}}"), one},
		{m("{uri: {prefix: /a}, method: {exact: GET}}"), m("{uri: {prefix: /b}}"), ""},
	}
	wants := make([]want, len(pairs))
	for i, p := range pairs {
		wants[i] = want{p.a + ", " + p.b, p.conditions}
	}
	expect(t, "VirtualService", "{hosts: [a.com], gateways: [g], http: [$]}", wants)
}

func TestUnreachableL4(t *testing.T) {
	t.Parallel()
	const route = "route: [{destination: {host: b}}]"
	expect(t, "VirtualService", "{hosts: [a.com, b.com], $}", []want{
		{"tcp: [{" + route + "}, {match: [{port: 80}], " + route + "}]", "W Unreachable tcp[1]"},
		{"tcp: [{match: [{port: 80, gateways: [a, b]}], " + route + "}, {match: [{port: 80, gateways: [b, a]}], " + route + "}]", "W Unreachable tcp[1].match[0]"},
		{"tcp: [{match: [{port: 80}], " + route + "}, {match: [{port: 81}], " + route + "}, {" + route + "}]", ""},
		{"tls: [{match: [{sniHosts: [a.com], sourceLabels: {x: z}}], " + route + "}, {match: [{sniHosts: [a.com]}, {sniHosts: [a.com], sourceLabels: {x: z}}], " + route + "}]", "W Unreachable tls[1].match[1]"},
	})
}
