package ingress_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/router"
)

// worldPath is a path of a random world.
type worldPath struct {
	ingress, host, path, kind string
	age                       int
	backend                   string
}

// takes says whether a path takes a request's, as Kubernetes has it: exactly, or element by
// element.
func (p worldPath) takes(path string) bool {
	if p.kind == "Exact" {
		return path == p.path
	}
	want, got := elements(p.path), elements(path)
	if len(want) > len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] {
			return false
		}
	}
	return true
}

func elements(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// hostRank is how well a host fits: 2 exact, 1 by its wildcard, 0 by none at all, -1 not.
func hostRank(host, of string) int {
	switch {
	case host == of:
		return 2
	case host == "":
		return 0
	}
	suffix, wild := strings.CutPrefix(host, "*")
	if label, ok := strings.CutSuffix(of, suffix); wild && ok && label != "" && !strings.Contains(label, ".") {
		return 1
	}
	return -1
}

// scan finds who serves a request by looking at every path: the best host, then the longest
// path, Exact before Prefix, the oldest Ingress.
func scan(world []worldPath, host, path string) string {
	best := -1
	for _, p := range world {
		best = max(best, hostRank(p.host, host))
	}
	if best < 0 {
		return ""
	}
	var found *worldPath
	length := func(p worldPath) int {
		if p.kind == "Exact" {
			return len(p.path)
		}
		return len(strings.TrimRight(p.path, "/"))
	}
	for i, p := range world {
		if hostRank(p.host, host) != best || !p.takes(path) {
			continue
		}
		better := found == nil || length(p) > length(*found) ||
			length(p) == length(*found) && p.kind == "Exact" && found.kind != "Exact" ||
			length(p) == length(*found) && p.kind == found.kind && p.age < found.age
		// An exact path is the request's own, whatever else is as long.
		if found != nil && (p.kind == "Exact") != (found.kind == "Exact") {
			better = p.kind == "Exact"
		}
		if better {
			found = &world[i]
		}
	}
	if found == nil {
		return ""
	}
	return found.backend
}

// TestPrecedence holds random worlds of Ingresses to a plain scan of their paths.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	hosts := []string{"a.example.com", "b.example.com", "*.example.com", "", "a.b.example.com"}
	randomPath := func() string {
		var b strings.Builder
		for range random.IntN(4) {
			b.WriteString("/" + pick("a", "b", "ab", "abc"))
		}
		if b.Len() == 0 || random.IntN(4) == 0 {
			b.WriteByte('/')
		}
		return b.String()
	}
	for round := range 150 {
		var world []worldPath
		var text strings.Builder
		for i := range 1 + random.IntN(6) {
			at := time.Date(2024, 1, 1+random.IntN(3), 0, 0, 0, 0, time.UTC)
			name := fmt.Sprintf("i%d", i)
			fmt.Fprintf(&text, "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: %s, creationTimestamp: %q}\nspec:\n  ingressClassName: sluice\n  rules:\n", name, at.Format(time.RFC3339))
			for range 1 + random.IntN(3) {
				host := pick(hosts...)
				fmt.Fprintf(&text, "  - host: %q\n    http:\n      paths:\n", host)
				for range 1 + random.IntN(4) {
					p := worldPath{ingress: name, host: host, path: randomPath(), kind: pick("Exact", "Prefix"), age: at.Day()*100 + i, backend: fmt.Sprintf("s%d", len(world))}
					fmt.Fprintf(&text, "      - {path: %s, pathType: %s, backend: {service: {name: %s, port: {number: 80}}}}\n", p.path, p.kind, p.backend)
					world = append(world, p)
				}
			}
		}
		result := ingress.NewCompiler(ingress.Options{}, proxy).Apply(config.Delta{Set: parse(t, text.String())})
		table, problems := router.Build(result.Spec, nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for range 60 {
			host, path := pick("a.example.com", "b.example.com", "c.example.com", "x.y.example.com", "a.b.example.com", "other.org"), randomPath()
			if strings.Count(host, ".") > 2 && covered(world, host) {
				continue // A wildcard takes the name, and serves none of it.
			}
			d := table.Route(&router.Request{Listener: "0.0.0.0_80", Port: 80, Method: "GET", Scheme: "http", Authority: host, Path: path})
			got := ""
			if d.Outcome == router.Forward {
				got, _, _ = strings.Cut(strings.Split(d.Route.Route.Destinations[0].Cluster, "|")[3], ".")
			}
			if want := scan(world, host, path); got != want {
				t.Fatalf("round %d: %s%s goes to %q, want %q\n%s", round, host, path, got, want, text.String())
			}
		}
	}
}

// covered says whether a wildcard, for one label, keeps a longer name from paths without a host.
func covered(world []worldPath, host string) bool {
	has := func(of string) bool {
		return slices.ContainsFunc(world, func(p worldPath) bool { return p.host == of })
	}
	return has("*.example.com") && !has(host)
}
