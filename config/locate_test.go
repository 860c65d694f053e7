package config

import (
	"strings"
	"testing"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	const text = `# first
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: a
  labels:
    app.kubernetes.io/name: x
spec:
  hosts: [a, b]
  http:
  - name: one
    route:
    - destination:
        host: b
        subset: v1
  - match:
    - headers:
        x-user:
          exact: y
        "@request.auth.claims[sub]":
          exact: z
    mirror_percent: 10
    route:
      - destination: {host: c}
        weight: 1
`
	objects, conditions := parseFile(text)
	if len(conditions) > 0 {
		t.Fatal(conditions)
	}
	o := objects[0]
	tests := []struct {
		field string
		want  int
	}{
		{"", 2},
		{"kind", 3},
		{"metadata.name", 5},
		{"metadata.labels[app.kubernetes.io/name]", 7},
		{"spec", 8},
		{"hosts", 9},
		{"hosts[1]", 9},
		{"spec.hosts[1]", 9},
		{"http", 10},
		{"http[0]", 11},
		{"http[0].route[0].destination.subset", 15},
		{"http[0].route[0].destination.port.number", 13},
		{"http[0].timeout", 11},
		{"http[1].match[0].headers[x-user].exact", 19},
		{"http[1].match[0].headers[@request.auth.claims[sub]]", 20},
		{"http[1].mirrorPercent", 22},
		{"http[1].route[0].destination.host", 24},
		{"http[1].route[0].weight", 25},
		{"http[7].route[0].weight", 10},
		{"nothing.like.it", 8},
		{"http[", 10},
		{"http[1", 16},
		{"]]..[[", 8},
	}
	for _, tt := range tests {
		if got := o.Locate(tt.field); got != tt.want {
			t.Errorf("%q is on line %d, want %d", tt.field, got, tt.want)
		}
	}
	if got := (&Object{Source: o.Source}).Locate("hosts"); got != 0 {
		t.Errorf("without a line: %d", got)
	}
	if got := (&Object{Source: Plain("{"), Line: 5}).Locate("hosts"); got != 5 {
		t.Errorf("in a broken manifest: %d", got)
	}
}

func TestLocateWithoutSpec(t *testing.T) {
	t.Parallel()
	objects, _ := parseFile("apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets:\n- addresses:\n  - ip: 1.1.1.1\n")
	if got := objects[0].Locate("subsets[0].addresses[0].ip"); got != 6 {
		t.Errorf("got %d", got)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	objects, _ := parseFile("---\n" + virtualService)
	conditions := []Condition{{Severity: Error, Field: "http[0].timeout", Message: "m"}, {Severity: Warning, Line: 3}, {Severity: Info}}
	objects[0].Place(conditions)
	if got, want := conditions[0].String(), "f.yaml:27: VirtualService bookinfo/reviews-1: http[0].timeout: m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if conditions[1].Line != 3 || conditions[2].Line != 2 {
		t.Errorf("got %+v", conditions)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	var root *Path
	p := root.Field("http").Index(2).Field("match").Index(0).Field("headers").Key("x.y[z]").Field("exact")
	if got, want := p.String(), "http[2].match[0].headers[x.y[z]].exact"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := strings.Join(pathSteps(p.String()), "|"), "http|2|match|0|headers|x.y[z]|exact"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if root.String() != "" {
		t.Error("the root has a name")
	}
}
