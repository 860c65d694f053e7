package validate

import (
	"strings"
	"testing"
)

func TestHTTPRule(t *testing.T) {
	t.Parallel()
	const route = `route: [{destination: {host: b}}]`
	expect(t, "VirtualService", `{hosts: [a.com], gateways: [g], http: [$]}`, []want{
		{`{route: [{destination: {host: "*"}}, {weight: 5}]}`, "E BadHost http[0].route[0].destination.host; E Missing http[0].route[1].destination"},
		{`{route: [{destination: {host: b, subset: -a, port: {}}}]}`, "E BadName http[0].route[0].destination.subset; E BadPort http[0].route[0].destination.port.number"},
		{`{redirect: {authority: a, redirectCode: 200}}`, "E OutOfRange http[0].redirect.redirectCode"},
		{`{redirect: {port: 70000}}`, "E BadPort http[0].redirect.port"},
		{`{redirect: {prefixRewrite: /b}, match: [{uri: {prefix: /a}}]}`, ""},
		{`{redirect: {prefixRewrite: /b, uri: /c}, match: [{uri: {exact: /a}}]}`, "E Conflict http[0].redirect.prefixRewrite; W NoEffect http[0].redirect.prefixRewrite"},
		{`{redirect: {uri: /a}, directResponse: {status: 200}, fault: {abort: {httpStatus: 500, percentage: {value: 1}}}}`, "E Conflict http[0].fault; E Conflict http[0].directResponse"},
		{`{directResponse: {status: 200}, rewrite: {uri: /a}}`, "E Conflict http[0].rewrite"},
		{`{directResponse: {status: 200, body: {string: ` + strings.Repeat("x", 100<<10+1) + `}}}`, "W OutOfRange http[0].directResponse.body"},
		{`{directResponse: {status: 200, body: {string: ` + strings.Repeat("x", 1<<20+1) + `}}}`, "E OutOfRange http[0].directResponse.body"},
		{`{retries: {attempts: 0, retryRemoteLocalities: false}, ` + route + `}`, "E Conflict http[0].retries.attempts"},
		{`{retries: {attempts: 0}, ` + route + `}`, ""},
		{`{retries: {attempts: 1, retryOn: "5xx, reset"}, ` + route + `}`, "E OutOfRange http[0].retries.retryOn"},
		{`{retries: {attempts: 1, retryOn: "5xx,,reset"}, ` + route + `}`, "E OutOfRange http[0].retries.retryOn"},
		{`{retries: {attempts: 1, perTryTimeout: 1.0001s, backoff: 100us}, ` + route + `}`, "E BadDuration http[0].retries.perTryTimeout; E BadDuration http[0].retries.backoff"},
		{`{rewrite: {uri: /a, uriRegexRewrite: {}}, ` + route + `}`, "E Conflict http[0].rewrite.uriRegexRewrite; E Missing http[0].rewrite.uriRegexRewrite.match; E Missing http[0].rewrite.uriRegexRewrite.rewrite"},
		{`{rewrite: {authority: a}, headers: {request: {set: {Host: b}}}, ` + route + `}`, "E Conflict http[0].headers.request.set[Host]"},
		{`{headers: {request: {set: {":authority": b}, add: {host: c}}}, ` + route + `}`, "E Conflict http[0].headers.request.add[host]"},
		{`{mirror: {host: c}, mirrorPercentage: {value: -1}, ` + route + `}`, "E OutOfRange http[0].mirrorPercentage.value"},
		{`{mirrors: [{}, {destination: {host: c}, percentage: {value: 101}}], ` + route + `}`, "E Missing http[0].mirrors[0].destination; E OutOfRange http[0].mirrors[1].percentage.value"},
		{`{timeout: 100us, ` + route + `}`, "E BadDuration http[0].timeout"},
		{`null`, "E Missing http[0].route"},
	})
}

func TestHTTPMatch(t *testing.T) {
	t.Parallel()
	expect(t, "VirtualService", `{hosts: [a.com], gateways: [g], http: [{match: [$], route: [{destination: {host: b}}]}]}`, []want{
		{`{scheme: {prefix: ""}, method: {regex: ""}, authority: {regex: "("}}`, "E Missing http[0].match[0].scheme.prefix; E BadRegex http[0].match[0].method.regex; E BadRegex http[0].match[0].authority.regex"},
		{`{queryParams: {q: {prefix: ""}, r: {regex: "*"}}}`, "E Missing http[0].match[0].queryParams[q].prefix; E BadRegex http[0].match[0].queryParams[r].regex"},
		{`{uri: {regex: ` + strings.Repeat("a", 1025) + `}}`, "E BadRegex http[0].match[0].uri.regex"},
		{`{uri: {regex: ` + strings.Repeat("a", 1024) + `}}`, ""},
		{`{uri: {regex: "(a)\\1"}}`, "E BadRegex http[0].match[0].uri.regex"},
		{`{withoutHeaders: {"": {}, x: {regex: "["}}}`, "E BadHeader http[0].match[0].withoutHeaders[]; E BadRegex http[0].match[0].withoutHeaders[x].regex"},
		{`{sourceNamespace: "a b", sourceLabels: {a/b/c: d}}`, "E BadLabel http[0].match[0].sourceLabels[a/b/c]; E BadName http[0].match[0].sourceNamespace"},
	})
}

func TestFaultAndCORS(t *testing.T) {
	t.Parallel()
	expect(t, "VirtualService", `{hosts: [a.com], gateways: [g], http: [{$, route: [{destination: {host: b}}]}]}`, []want{
		{`fault: {delay: {percentage: {value: 1}, fixedDelay: 0s}}`, "E BadDuration http[0].fault.delay.fixedDelay"},
		{`fault: {delay: {percentage: {value: 1}, exponentialDelay: 1s}}`, "E Unsupported http[0].fault.delay.exponentialDelay"},
		{`fault: {delay: {percent: 101, fixedDelay: 1s}}`, "W OutOfRange http[0].fault.delay.percent; I Deprecated http[0].fault.delay.percent"},
		{`fault: {abort: {percentage: {value: 1}, http2Error: x}}`, "E Unsupported http[0].fault.abort.http2Error"},
		{`fault: {abort: {percentage: {value: 1}, httpStatus: 600}}`, "W OutOfRange http[0].fault.abort.httpStatus"},
		{`fault: {abort: {httpStatus: 500}}`, "W NoEffect http[0].fault.abort"},
		{`fault: {delay: {fixedDelay: 1s}}`, "W NoEffect http[0].fault.delay"},
		{`fault: {abort: {grpcStatus: NOT_FOUND, percentage: {value: 0.00001}}}`, "E OutOfRange http[0].fault.abort.percentage.value"},
		{`corsPolicy: {allowOrigins: [{}, {prefix: https}], allowOrigin: ["*"], allowMethods: ["*", get]}`, "E Missing http[0].corsPolicy.allowOrigins[0]; I Deprecated http[0].corsPolicy.allowOrigin; E OutOfRange http[0].corsPolicy.allowMethods[1]"},
		{`corsPolicy: {allowHeaders: ["*", ""], exposeHeaders: ["a:b"], maxAge: 1.5s}`, "E BadHeader http[0].corsPolicy.allowHeaders[1]; E BadHeader http[0].corsPolicy.exposeHeaders[0]; E BadDuration http[0].corsPolicy.maxAge"},
	})
}

func TestL4Rules(t *testing.T) {
	t.Parallel()
	expect(t, "VirtualService", `{hosts: [a.com, "*.b.com"], $}`, []want{
		{`tls: [{match: [{sniHosts: [x.b.com, 1.1.1.1, "c c"], port: 70000, sourceLabels: {a: "b c"}, gateways: ["a/b/c"]}], route: [{destination: {host: b}, weight: -1}, {}]}]`,
			"W BadHost tls[0].match[0].sniHosts[1]; E BadHost tls[0].match[0].sniHosts[2]; E BadPort tls[0].match[0].port; E BadLabel tls[0].match[0].sourceLabels[a]; E BadName tls[0].match[0].gateways[0]; E Missing tls[0].route[1].destination; E BadWeights tls[0].route[0].weight"},
		{`tcp: [{match: [{destinationSubnets: [a, 1.1.1.1/8/8], sourceSubnet: 1.1.1.1}], route: [{destination: {host: b}}, {destination: {host: c}}]}]`,
			"E BadAddress tcp[0].match[0].destinationSubnets[0]; E BadAddress tcp[0].match[0].destinationSubnets[1]; W NoEffect tcp[0].match[0].sourceSubnet; E BadWeights tcp[0].route[0].weight"},
		{`tls: [{}], tcp: [null]`, "E Missing tls[0].match; E Missing tls[0].route; E Missing tcp[0].route"},
	})
}
