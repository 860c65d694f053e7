package browser

import (
	"slices"
	"strings"
	"testing"
)

// TestTrouble: what is wrong stands first, the worst on top, and nothing else is called wrong.
func TestTrouble(t *testing.T) {
	prepare(t)
	tab := open(t, "http://"+troubled().listen(t, "127.0.0.1:0")+"/ui/", 1400, 1000, "dark")
	until(t, tab, `/3.0 % of the calls from fake to half v1 fail/.test(document.getElementById("trouble-list").textContent)`)
	list := ask[[]string](t, tab, `[...document.querySelectorAll("#trouble-list li")].map((li) => li.dataset.level + ": " + li.querySelector("a").textContent + ": " + li.querySelector("p").textContent)`)
	for _, want := range []string{
		"bad: half-v1 is not reachable: 127.0.0.1:1 is not reachable: connect: connection refused",
		"bad: fake is not ready: no listener can be bound",
		"bad: Listener 0.0.0.0_80 is not bound: permission denied",
		"bad: All endpoints are out of use: outbound|80||none: 10.0.0.3:80",
		"warn: 1 of 2 endpoints are out of use: outbound|80||half: 10.0.0.2:80",
		"bad: Certificate secret shop/over has expired: 2 days ago: over.example.com",
		"bad: Certificate secret shop/missing is not in force as written: there is no such Secret",
		"warn: Certificate secret shop/soon expires soon: in 7 days: soon.example.com",
		"warn: Gateway shop/web servers[0]: nobody is selected",
	} {
		if !slices.ContainsFunc(list, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("it does not say %q", want)
		}
	}
	if !slices.IsSortedFunc(list, func(a, b string) int { return strings.Compare(a[:3], b[:3]) }) || len(list) != 10 {
		t.Errorf("the list is\n%s", strings.Join(list, "\n"))
	}
	if title := ask[string](t, tab, `document.title`); title != "(10) fake – Sluice" {
		t.Errorf("the title is %q", title)
	}
	if said := ask[string](t, tab, `document.getElementById("announce").textContent`); said != "10 problems" {
		t.Errorf("a screen reader is told %q", said)
	}
	for id, wants := range map[string][]string{
		"certificates-table": {"expired 2 days ago", "7 days", "60 days", "there is no such Secret"},
		"endpoints-table":    {"healthy (was ejected 2×)", "ejected (1×)", "unhealthy"},
		"conditions-table":   {"worth knowing"},
		"failures-list":      {"cutDCGET half/the client left", "connection db:5432"},
		"graph":              {" conn/s", "/s · 3.0 % err"},
	} {
		shown := ask[string](t, tab, `document.getElementById(`+quote(id)+`).textContent`)
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				t.Errorf("%s does not show %q: %s", id, want, shown)
			}
		}
	}
	check(t, tab, axe(t), "trouble")
}
