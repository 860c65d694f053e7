package validate

import "testing"

func TestOperatorProblem(t *testing.T) {
	t.Parallel()
	valid := []string{
		"", "foo", "100%%", "%HOSTNAME%", "a %X% b %Y%", "%REQ(x)%", "%START_TIME(%s)%", `%PER_REQUEST_STATE(["a", "b"])%`, `%X([ "a\"b" ] ) %`,
		"%%%A%", "%()x)%", `%A(x\)y)%`, `%A(["a)%`,
	}
	for _, value := range valid {
		if problem := operatorProblem(value); problem != "" {
			t.Errorf("%s: %s", value, problem)
		}
	}
	invalid := []string{
		"%", "abc%123", "%START_TIME%%", "%A(%", "%A(x%", "%A(x) y%", "%A(x)", `%A([x])%`, `%A(["a" "b"])%`, `%A(["a"]%`, "%A(", "%REQ(x):5%", `%A(["a",])%`,
	}
	for _, value := range invalid {
		if operatorProblem(value) == "" {
			t.Errorf("%s passes", value)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	expect(t, "VirtualService", `{hosts: [a.com], gateways: [g], http: [{headers: $, route: [{destination: {host: b}}]}]}`, []want{
		{`{request: {set: {host: a, ":path": /x}, remove: [Host, ":authority"]}}`, "E BadHeader http[0].headers.request.set[:path]; E BadHeader http[0].headers.request.remove[0]; E BadHeader http[0].headers.request.remove[1]"},
		{`{response: {add: {Host: a, x: "a\u0001"}}}`, "E BadHeader http[0].headers.response.add[Host]; E BadHeader http[0].headers.response.add[x]"},
		{`{request: {set: {Transfer-Encoding: chunked}, add: {content-length: "5"}}, response: {remove: [Connection]}}`,
			"W NoEffect http[0].headers.request.set[Transfer-Encoding]; W NoEffect http[0].headers.request.add[content-length]; W NoEffect http[0].headers.response.remove[0]"},
		{`{response: {set: {x: "a\tb", z: "50%"}}}`, "E BadHeader http[0].headers.response.set[z]"},
	})
}
