package validate

import (
	"fmt"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// want is a spec and the conditions it gets: severity (E, W or I), reason and field of
// each, separated by "; ".
type want struct{ spec, conditions string }

// expect validates each spec as an object of kind. The spec is put into template,
// where there is one, in place of "$".
func expect(t *testing.T, kind, template string, wants []want) {
	t.Helper()
	for _, w := range wants {
		t.Run(w.spec, func(t *testing.T) {
			t.Parallel()
			spec := w.spec
			if template != "" {
				spec = strings.Replace(template, "$", spec, 1)
			}
			_, conditions := check(t, kind, spec)
			got := make([]string, len(conditions))
			for i, c := range conditions {
				got[i] = fmt.Sprintf("%.1s %s %s", c.Severity, c.Reason, c.Field)
			}
			if g := strings.Join(got, "; "); g != w.conditions {
				t.Errorf("got  %s\nwant %s\n%s", g, w.conditions, lines(conditions))
			}
		})
	}
}

func TestObjectOtherTypes(t *testing.T) {
	t.Parallel()
	for _, typed := range []any{nil, 5, &kube.Service{}} {
		if conditions := Object(typed); len(conditions) > 0 {
			t.Errorf("%T: %v", typed, conditions)
		}
	}
}

func TestObjectMetadata(t *testing.T) {
	t.Parallel()
	gateway := &resource.Gateway{
		ObjectMeta: kube.ObjectMeta{Name: "a.b", Annotations: map[string]string{"istio.io/dry-run": "true"}},
		Spec: networking.Gateway{Servers: []*networking.Server{{
			Hosts: []string{"*"}, Port: &networking.Port{Number: 80, Name: "http", Protocol: "HTTP"},
		}}},
	}
	conditions := Object(gateway)
	if len(conditions) != 2 || conditions[0].Field != "metadata.annotations[istio.io/dry-run]" || conditions[1].Field != "metadata.name" {
		t.Errorf("got %s", lines(conditions))
	}
}

// TestConditionsArePlaced holds that the paths are those that config.Object.Locate
// understands.
func TestConditionsArePlaced(t *testing.T) {
	t.Parallel()
	_, conditions := check(t, "VirtualService", `
  hosts: [a.com]
  http:
  - route:
    - destination:
        host: b
        port:
          number: 70000
      headers:
        request:
          set:
            x: "%"
    timeout: 0s`)
	got := map[string]int{}
	for _, c := range conditions {
		got[c.Field] = c.Line
	}
	for field, line := range map[string]int{
		"http[0].route[0].destination.port.number": 11, "http[0].route[0].headers.request.set[x]": 15, "http[0].timeout": 16,
	} {
		if got[field] != line {
			t.Errorf("%s is on line %d, want %d\n%s", field, got[field], line, lines(conditions))
		}
	}
}

// FuzzObject holds that nothing panics, whatever an object says, and that every
// condition says what and where.
func FuzzObject(f *testing.F) {
	kinds := []string{"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Sidecar"}
	for i, spec := range []string{
		`{servers: [{bind: "unix:///a", port: {number: 443, name: a, protocol: HTTPS}, hosts: [ns/a.com], tls: {mode: MUTUAL, tlsCertificates: [{}], cipherSuites: [""]}}]}`,
		`{hosts: ["*.a"], gateways: [a.b], http: [{match: [{uri: {prefix: /}}, {headers: {x: null}}], route: [{}], headers: {request: {set: {a: '%A([""])%'}}}}], tls: [{match: [{sniHosts: [outbound_.80_]}]}], tcp: [{}]}`,
		`{host: a, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {"*": 100}}]}, consistentHash: {maglev: {tableSize: 7}}}, tls: {credentialName: "configmap://a/b"}}, subsets: [{}]}`,
		`{hosts: [a], resolution: DNS, ports: [{}], endpoints: [{}, {address: a}], exportTo: ["~", "."]}`,
		`{address: "unix://@a", ports: {a: 1}}`,
		`{egress: [{hosts: ["*/*", a/b]}, {port: {number: 0}, bind: unix://}], ingress: [{port: {}, defaultEndpoint: "[::1]:1", tls: {}}]}`,
	} {
		f.Add(byte(i), spec)
	}
	f.Fuzz(func(t *testing.T, kind byte, spec string) {
		o := objectOf(kinds[int(kind)%len(kinds)], spec)
		typed, _ := decode.Decode(o)
		for _, c := range Object(typed) {
			if c.Message == "" || c.Reason == "" || c.Field == "" {
				t.Fatalf("%+v", c)
			}
		}
	})
}
