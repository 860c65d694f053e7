package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// TestBadEditKeepsTheRule edits a rule that serves such that the router could not take it: the
// version before the edit stays in force, and a condition names the field.
func TestBadEditKeepsTheRule(t *testing.T) {
	t.Parallel()
	const forward = "route: [{destination: {host: a.example.com}}]"
	for field, rule := range map[string]string{
		"http[0].rewrite.uriRegexRewrite.rewrite":    forward + `, rewrite: {uriRegexRewrite: {match: "^/(a)(.*)$", rewrite: '/\2\3'}}`,
		"http[0].rewrite.uri":                        forward + ", rewrite: {uri: '/a b'}",
		"http[0].rewrite.authority":                  forward + ", rewrite: {authority: 'a b'}",
		"http[0].headers.request.set[host]":          forward + ", headers: {request: {set: {host: 'a b'}}}",
		"http[0].route[0].headers.request.add[host]": "route: [{destination: {host: a.example.com}, headers: {request: {add: {host: 'a b'}}}}]",
		"http[0].redirect.uri":                       "redirect: {uri: '/a b'}",
		"http[0].redirect.prefixRewrite":             "redirect: {prefixRewrite: '/a b'}",
		"http[0].redirect.authority":                 "redirect: {authority: 'a b'}",
	} {
		version := func(rule string) []*config.Object {
			return objects(t, virtualService("a", "hosts: ['*'], http: [{match: [{uri: {prefix: /a}}], "+rule+"}, {directResponse: {status: 418}}]"))
		}
		p := newProxy(views["gateway"])
		p.apply(config.Delta{Set: append(objects(t, plainServer("'*'")), version("directResponse: {status: 200}")...)})
		p.apply(config.Delta{Set: version(rule)})
		d := p.table.Route(&router.Request{Listener: "0.0.0.0_80", Method: "GET", Scheme: "http", Authority: "a", Path: "/a"})
		if d.Outcome != router.Responded || d.Route.Direct.Status != 200 {
			t.Errorf("%s: %v", field, d.Outcome)
		}
		if !slices.ContainsFunc(p.pipeline.Conditions(), func(c config.Condition) bool { return c.Severity == config.Error && c.Field == field }) {
			t.Errorf("%s: %v", field, p.pipeline.Conditions())
		}
	}
}

// TestKubernetesPortsAreChecked: a port that is none is an error of its object, not another port.
func TestKubernetesPortsAreChecked(t *testing.T) {
	t.Parallel()
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: default}\n"
	for field, text := range map[string]string{
		"spec.ports[0].port":       service + "spec: {ports: [{name: http, port: 65616}]}\n",
		"spec.ports[0].targetPort": service + "spec: {ports: [{name: http, port: 80, targetPort: 70000}]}\n",
		"subsets[0].ports[0].port": "apiVersion: v1\nkind: Endpoints\nmetadata: {name: s, namespace: default}\nsubsets: [{addresses: [{ip: 192.0.2.1}], ports: [{name: http, port: -1}]}]\n",
		"ports[0].port": "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-1, namespace: default, labels: {kubernetes.io/service-name: s}}\n" +
			"addressType: IPv4\nports: [{name: http, port: 65536}]\nendpoints: [{addresses: [192.0.2.1]}]\n",
	} {
		p := newProxy(views["gateway"])
		p.apply(config.Delta{Set: slices.Concat(
			objects(t, plainServer("'*'")), objects(t, text),
			objects(t, virtualService("a", "hosts: ['*'], http: [{route: [{destination: {host: s.default.svc.cluster.local, port: {number: 80}}}]}]")),
		)})
		at := slices.IndexFunc(p.pipeline.Conditions(), func(c config.Condition) bool { return c.Field == field })
		if at < 0 || !strings.Contains(p.pipeline.Conditions()[at].Message, "from 1 to 65535") {
			t.Errorf("%s: %v", field, p.pipeline.Conditions())
		}
		if clusters := p.table.Spec().Clusters; len(clusters) > 0 {
			t.Errorf("%s: %+v", field, clusters[0])
		}
	}
}

// TestRedirectPortBehindTLS: which port is the scheme's own depends on what the request came by.
func TestRedirectPortBehindTLS(t *testing.T) {
	t.Parallel()
	p := newProxy(views["gateway"])
	p.apply(config.Delta{Set: slices.Concat(
		objects(t, istioObject("Gateway", "edge", "servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: a}}]")),
		objects(t, virtualService("a", "hosts: ['*'], http: [{match: [{uri: {prefix: /80}}], redirect: {port: 80}}, {redirect: {derivePort: FROM_REQUEST_PORT, uri: /x}}]")),
	)})
	for path, want := range map[string]string{
		"/80": "https://a.example.com:80/80",
		"/":   "https://a.example.com/x",
	} {
		r := &router.Request{Listener: "0.0.0.0_443", Chain: "https.443.https.edge.istio-system", Method: "GET", Scheme: "https", Authority: "a.example.com", Path: path}
		d := p.table.Route(r)
		if got := string(d.AppendLocation(nil, r)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestOpenQuoteInExpression: RE2 lets the end of an expression close what \Q opens.
func TestOpenQuoteInExpression(t *testing.T) {
	t.Parallel()
	p := newProxy(views["gateway"])
	p.apply(config.Delta{Set: append(objects(t, plainServer("'*'")),
		objects(t, virtualService("a", `hosts: ['*'], http: [{match: [{uri: {regex: '/v[12]/\Qa.b'}}], directResponse: {status: 200}}]`))...)})
	for path, want := range map[string]router.Outcome{"/v1/a.b": router.Responded, "/v1/acb": router.NotFound, "/v1/a.b/c": router.NotFound} {
		if d := p.table.Route(&router.Request{Listener: "0.0.0.0_80", Method: "GET", Scheme: "http", Authority: "a", Path: path}); d.Outcome != want {
			t.Errorf("%s: %v, want %v; %v", path, d.Outcome, want, p.pipeline.Conditions())
		}
	}
}
