package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// listing joins n texts, parted by commas.
func listing(n int, item func(i int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return strings.Join(items, ", ")
}

// numbered lists n texts that have their numbers in them.
func numbered(n int, format string) string {
	return listing(n, func(i int) string { return fmt.Sprintf(format, i) })
}

// documents are n documents of a file.
func documents(n int, document func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(document(i) + "---\n")
	}
	return b.String()
}

// istioObject is an object of Istio's networking API.
func istioObject(kind, name, spec string) string {
	namespace := "default"
	if kind == "Gateway" {
		namespace = "istio-system"
		spec = "selector: {istio: ingressgateway}, " + spec
	}
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: {%s}\n", kind, name, namespace, spec)
}

// plainServer is a Gateway's, for some hosts.
func plainServer(hosts string) string {
	return istioObject("Gateway", "edge", "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["+hosts+"]}]")
}

// virtualService is one for the Gateway edge.
func virtualService(name, spec string) string {
	return istioObject("VirtualService", name, "gateways: [istio-system/edge], "+spec)
}

// large are objects that are large in one way, or many for one host.
var large = []struct {
	name, view string
	objects    []string
}{
	{"hosts of a VirtualService", "gateway", []string{
		plainServer("'*'"),
		virtualService("a", "hosts: ["+numbered(100_000, "h%d.example.com")+"], http: [{directResponse: {status: 200}}]"),
	}},
	{"hosts below as many wildcards", "gateway", []string{
		plainServer(numbered(16_000, "x.h%d.example.com")),
		virtualService("a", "hosts: ["+numbered(16_000, "'*.h%d.example.com'")+"], http: [{directResponse: {status: 200}}]"),
	}},
	{"conditions that many rules share", "gateway", []string{
		plainServer("'*'"),
		virtualService("a", "hosts: ['*'], http: ["+listing(10, func(int) string {
			return "{match: [{headers: {" + numbered(1500, "h%d: {exact: a}") + "}}], directResponse: {status: 200}}"
		})+"]"),
	}},
	{"destinations that are not there", "gateway", []string{
		plainServer("'*'"),
		virtualService("a", "hosts: ['*'], http: [{route: ["+numbered(6000, "{destination: {host: h%d.example.com}, weight: 1}")+"]}]"),
	}},
	{"rules of a delegate below as many match blocks", "gateway", []string{
		plainServer("'*'"),
		virtualService("a", "hosts: ['*'], http: [{delegate: {name: b}, match: ["+numbered(6000, "{name: a%d}")+"]}]"),
		istioObject("VirtualService", "b", "http: [{directResponse: {status: 200}, match: ["+numbered(6000, "{uri: {exact: /%d}}")+"]}]"),
	}},
	{"DestinationRules for one host", "gateway", []string{
		documents(2500, func(i int) string {
			return istioObject("DestinationRule", fmt.Sprintf("s%d", i), fmt.Sprintf("host: s.example.com, subsets: [{name: s%d}]", i))
		}),
	}},
	{"subsets and ports that are not there", "gateway", []string{
		plainServer("'*'"),
		istioObject("ServiceEntry", "s", "hosts: [s.example.com], ports: ["+listing(5000, func(i int) string {
			return fmt.Sprintf("{number: %d, name: http-%d}", i+1, i)
		})+"], resolution: STATIC, endpoints: [{address: 192.0.2.1}]"),
		istioObject("DestinationRule", "s", "host: s.example.com, subsets: ["+numbered(5000, "{name: s%d}")+"]"),
		virtualService("a", "hosts: ['*'], http: [{route: ["+listing(5000, func(i int) string {
			return fmt.Sprintf("{destination: {host: s.example.com, subset: t%d, port: {number: %d}}, weight: 1}", i, 1+i%2*(5000+i))
		})+"]}]"),
	}},
	{"ports of a service", "sidecar", []string{
		istioObject("ServiceEntry", "s", "hosts: [s.example.com], ports: ["+listing(30_000, func(i int) string {
			return fmt.Sprintf("{number: %d, name: http-%d}", i+1, i)
		})+"], resolution: STATIC, endpoints: [{address: 192.0.2.1}]"),
	}},
	{"services of a VirtualService's hosts", "sidecar", []string{
		istioObject("ServiceEntry", "s", "hosts: ["+numbered(30_000, "h%d.example.com")+"], ports: [{number: 80, name: http}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]"),
		istioObject("VirtualService", "a", "hosts: ["+numbered(30_000, "h%d.example.com")+"], http: [{directResponse: {status: 200}}]"),
	}},
}

// TestLargeObjects takes in objects as large as people could make them. Each takes a part of a
// second where the work is in proportion, and most of a minute or hours where it is not.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	const bound = 20 * time.Second
	for _, l := range large {
		var d config.Delta
		for _, text := range l.objects {
			d.Set = append(d.Set, objects(t, text)...)
		}
		p := newProxy(views[l.view])
		start := time.Now()
		p.apply(d)
		p.apply(config.Delta{Removed: []config.Key{d.Set[0].Key}})
		p.apply(config.Delta{Set: d.Set[:1]})
		if took := time.Since(start); took > bound {
			t.Errorf("%s: it took %v", l.name, took)
		}
		for _, c := range p.pipeline.Conditions() {
			if len(c.Message) > 1000 {
				t.Fatalf("%s: a message has %d bytes: %.200s", l.name, len(c.Message), c.Message)
			}
		}
	}
}

// objects parses a manifest.
func objects(t *testing.T, text string) []*config.Object {
	t.Helper()
	var all []*config.Object
	for _, document := range config.SplitDocuments([]byte(text)) {
		parsed, conditions := config.ParseObjects(document, "a.yaml")
		if len(conditions) > 0 {
			t.Fatal(conditions)
		}
		all = append(all, parsed...)
	}
	return all
}

// TestDelegatesAreBounded: a rule that would be joined with a delegate's rules to more than is
// served says so, and the rules beside it serve.
func TestDelegatesAreBounded(t *testing.T) {
	t.Parallel()
	p := newProxy(views["gateway"])
	p.apply(config.Delta{Set: slices.Concat(
		objects(t, plainServer("'*'")),
		objects(t, virtualService("a", "hosts: ['*'], http: [{delegate: {name: b}, match: ["+numbered(400, "{headers: {x: {exact: a%d}}}")+"]}, {delegate: {name: b}}]")),
		objects(t, istioObject("VirtualService", "b", "http: [{directResponse: {status: 200}, match: ["+numbered(400, "{uri: {exact: /%d}}")+"]}]")),
	)})
	if d := p.table.Route(&router.Request{Listener: "0.0.0.0_80", Method: "GET", Scheme: "http", Authority: "a", Path: "/7"}); d.Outcome != router.Responded {
		t.Errorf("the rule beside it: %v", d.Outcome)
	}
	if !slices.ContainsFunc(p.pipeline.Conditions(), func(c config.Condition) bool {
		return c.Severity == config.Error && c.Object.Name == "a" && c.Field == "http[0].delegate" && strings.Contains(c.Message, "160000 match blocks")
	}) {
		t.Error(p.pipeline.Conditions())
	}
}
