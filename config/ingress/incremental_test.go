package ingress_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// randomIngress is an Ingress that may share hosts, paths and Secrets with others.
func randomIngress(random *rand.Rand, name string) string {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: %s\n  namespace: %s\n  creationTimestamp: \"2024-01-0%dT00:00:00Z\"\n  annotations:\n    x: z\n",
		name, pick("a", "b"), 1+random.IntN(9))
	for _, annotation := range []string{
		`limit-rps: "10"`, `limit-connections: "5"`, `proxy-read-timeout: "30"`,
		`ssl-redirect: "false"`, `force-ssl-redirect: "true"`, `rewrite-target: /x`, `proxy-connect-timeout: "3"`, `affinity: cookie`, `from-to-www-redirect: "true"`,
		`server-alias: alias.example.com`, `auth-tls-secret: ca`, `ssl-passthrough: "true"`, `auth-url: http://x`, `backend-protocol: GRPC`, `canary: "true"`, `app-root: /root`,
		`upstream-vhost: inner`, `unheard-of: z`,
	} {
		if random.IntN(9) == 0 {
			fmt.Fprintf(&b, "    nginx.ingress.kubernetes.io/%s\n", annotation)
		}
	}
	fmt.Fprintf(&b, "spec:\n  ingressClassName: %s\n", pick("sluice", "sluice", "sluice", "sluice", "edge", "nginx"))
	if random.IntN(5) == 0 {
		b.WriteString("  defaultBackend: {service: {name: rest, port: {number: 80}}}\n")
	}
	if random.IntN(2) == 0 {
		fmt.Fprintf(&b, "  tls:\n  - {hosts: [%q], secretName: %s}\n", pick("a.example.com", "b.example.com", "*.example.com", "c.example.com", "www.a.example.com"), pick("one", "two"))
	}
	b.WriteString("  rules:\n")
	for range 1 + random.IntN(2) {
		fmt.Fprintf(&b, "  - host: %q\n    http:\n      paths:\n", pick("a.example.com", "b.example.com", "*.example.com", "", "c.example.com"))
		for range 1 + random.IntN(2) {
			fmt.Fprintf(&b, "      - {path: %s, pathType: %s, backend: {service: {name: %s, port: {%s}}}}\n",
				pick("/", "/a", "/b", "/a/b"), pick("Exact", "Prefix"), pick("web", "api"), pick("number: 80", "name: http", "name: web"))
		}
	}
	return b.String()
}

// TestIncremental: whatever changes came before, what is served is what a compiler that sees
// the last state alone makes of it.
func TestIncremental(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 12 {
		c := ingress.NewCompiler(ingress.Options{}, proxy)
		state := map[config.Key]*config.Object{}
		for step := range 40 {
			var d config.Delta
			switch random.IntN(6) {
			case 0:
				text := fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {ports: [{name: %s, port: %d}]}\n",
					[]string{"web", "api"}[random.IntN(2)], []string{"a", "b"}[random.IntN(2)], []string{"http", "web"}[random.IntN(2)], 80+random.IntN(2))
				d.Set = parse(t, text)
			case 1:
				d.Set = parse(t, fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: edge}\nspec: {controller: %s}\n", []string{"sluice.dev/ingress-controller", "other"}[random.IntN(2)]))
			case 2:
				for key := range state {
					d.Removed = append(d.Removed, key)
					break
				}
			default:
				d.Set = parse(t, randomIngress(random, fmt.Sprintf("i%d", random.IntN(6))))
			}
			for _, o := range d.Set {
				state[o.Key] = o
			}
			for _, key := range d.Removed {
				delete(state, key)
			}
			got := c.Apply(d)
			var all []*config.Object
			for _, o := range state {
				all = append(all, o)
			}
			slices.SortFunc(all, func(a, b *config.Object) int { return strings.Compare(a.Key.String(), b.Key.String()) })
			want := ingress.NewCompiler(ingress.Options{}, proxy).Apply(config.Delta{Set: all})
			if !reflect.DeepEqual(got.Spec, want.Spec) {
				t.Fatalf("round %d, step %d: the spec differs\n%s", round, step, difference(got.Spec, want.Spec))
			}
			if a, b := texts(got.Conditions), texts(want.Conditions); !slices.Equal(a, b) {
				t.Fatalf("round %d, step %d: conditions\n%s\nwant\n%s", round, step, strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
			if _, problems := router.Build(got.Spec, nil); len(problems) > 0 {
				t.Fatal(problems)
			}
		}
	}
}

func texts(conditions []config.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprint(c.Severity, " ", c.Reason, " ", c))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// difference tells the first listener or cluster that two specs do not share.
func difference(a, b *router.Spec) string {
	for i := range max(len(a.Listeners), len(b.Listeners)) {
		if i >= len(a.Listeners) || i >= len(b.Listeners) || !reflect.DeepEqual(a.Listeners[i], b.Listeners[i]) {
			return fmt.Sprintf("listener %d of %d and %d: %s\n%s", i, len(a.Listeners), len(b.Listeners), describe(a, i), describe(b, i))
		}
	}
	return fmt.Sprintf("%d and %d clusters", len(a.Clusters), len(b.Clusters))
}

func describe(s *router.Spec, i int) string {
	if i >= len(s.Listeners) {
		return "none"
	}
	var b strings.Builder
	tables := s.Listeners[i].Tables
	for _, c := range s.Listeners[i].Chains {
		fmt.Fprintf(&b, "chain %s %v\n", c.Name, c.ServerNames)
		if c.Table != nil {
			tables = append(slices.Clip(tables), c.Table)
		}
	}
	for _, t := range tables {
		for _, vh := range t.VirtualHosts {
			fmt.Fprintf(&b, "%s %v", vh.Name, vh.Domains)
			for _, r := range vh.Routes {
				fmt.Fprintf(&b, " [%s %s %v]", r.Name, r.Origin(), r.Match.Path)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// many are n Ingresses, each with a host of its own.
func many(t testing.TB, n int) []*config.Object {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web-%05[1]d, namespace: shop, annotations: {nginx.ingress.kubernetes.io/proxy-connect-timeout: "3"}}
spec:
  ingressClassName: sluice
  rules:
  - host: host-%05[1]d.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web-%02[2]d, port: {name: http}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: web-%02[2]d, port: {number: 80}}}}
`, i, i%50)
	}
	for i := range 50 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: web-%02d, namespace: shop}\nspec: {ports: [{name: http, port: 80}]}\n", i)
	}
	return parse(t, b.String())
}

// TestChangeKeepsTheRest: an edit leaves all other hosts as they are, by pointer, and tells so.
func TestChangeKeepsTheRest(t *testing.T) {
	t.Parallel()
	all := many(t, 200)
	c := ingress.NewCompiler(ingress.Options{}, proxy)
	before := hostsOf(c.Apply(config.Delta{Set: all}))
	edited := parse(t, strings.Replace(string(all[7].Text()), "/api", "/other", 1))
	after := hostsOf(c.Apply(config.Delta{Set: edited}))
	if len(before) != 200 || len(after) != 200 {
		t.Fatalf("%d and %d hosts", len(before), len(after))
	}
	for name, vh := range after {
		if changed := before[name] != vh; changed != strings.HasPrefix(name, "host-00007.") {
			t.Errorf("%s changed: %t", name, changed)
		}
	}
	same := c.Apply(config.Delta{Set: edited})
	if again := c.Apply(config.Delta{Moved: []config.Place{{Key: edited[0].Key, Line: 99}}}); again.Spec != same.Spec {
		t.Error("an Ingress that moved in its file made another Spec")
	}
}

func hostsOf(r istio.Result) map[string]*router.VirtualHost {
	out := map[string]*router.VirtualHost{}
	for _, vh := range r.Spec.Listeners[0].Tables[0].VirtualHosts {
		out[vh.Name] = vh
	}
	return out
}

// TestMoved: conditions follow an Ingress that other text pushes down.
func TestMoved(t *testing.T) {
	t.Parallel()
	o := parse(t, strings.Repeat("#\n", 9)+`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    nginx.ingress.kubernetes.io/unheard-of: x
spec:
  ingressClassName: sluice
  defaultBackend: {service: {name: missing, port: {number: 80}}}
`)
	c := ingress.NewCompiler(ingress.Options{}, proxy)
	lines := func(r istio.Result) (out []int) {
		for _, c := range r.Conditions {
			out = append(out, c.Line)
		}
		slices.Sort(out)
		return out
	}
	first := lines(c.Apply(config.Delta{Set: o}))
	moved := lines(c.Apply(config.Delta{Moved: []config.Place{{Key: o[0].Key, Line: o[0].Line + 5}}}))
	if len(first) != 2 || len(moved) != 2 || moved[0] != first[0]+5 || moved[1] != first[1]+5 {
		t.Errorf("lines %v, and %v five lines further down", first, moved)
	}
}

func BenchmarkLoad(b *testing.B) {
	all := many(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		ingress.NewCompiler(ingress.Options{}, proxy).Apply(config.Delta{Set: all})
	}
}

func BenchmarkEdit(b *testing.B) {
	all := many(b, 10000)
	c := ingress.NewCompiler(ingress.Options{}, proxy)
	c.Apply(config.Delta{Set: all})
	versions := [][]*config.Object{parse(b, strings.Replace(string(all[7].Text()), "/api", "/other", 1)), parse(b, string(all[7].Text()))}
	at := 0
	for b.Loop() {
		c.Apply(config.Delta{Set: versions[at%2]})
		at++
	}
}
