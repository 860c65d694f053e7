package browser

import (
	"strings"
	"testing"
)

// TestKeyboard: everything can be reached and used without a pointer.
func TestKeyboard(t *testing.T) {
	d := startDemo(t)
	d.traffic(t)
	tab := open(t, d.ui, 1440, 900, "light")
	wantCards(t, tab, "clients", "istio-ingressgateway", "productpage", "details", "reviews", "ratings")
	until(t, tab, `document.querySelector("#failures-list .failure")`)
	press := func(key string, shift ...bool) {
		t.Helper()
		if err := tab.Press(key, len(shift) > 0); err != nil {
			t.Fatal(err)
		}
	}
	focused := func() string {
		return ask[string](t, tab, `(document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim()`)
	}
	press("Tab")
	if got := focused(); got != "Skip to what is wrong" {
		t.Errorf("the first stop is %q", got)
	}
	if !ask[bool](t, tab, `document.activeElement.getBoundingClientRect().width > 50`) {
		t.Error("the skip link is not seen when it has the focus")
	}
	press("Enter")
	if at := ask[string](t, tab, `document.activeElement.id`); at != "main" {
		t.Errorf("the skip link leads to %q", at)
	}

	// Each Tab goes to something that is seen, has a name, and shows that it has the focus;
	// the graph is one stop.
	seen := map[string]int{}
	inGraph := 0
	for range 200 {
		press("Tab")
		stop := ask[struct {
			Body, Visible, Ring, Graph bool
			Name, Place                string
		}](t, tab, `(() => {
			const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
			return { Body: e === document.body, Visible: r.width > 0 && r.height > 0, Ring: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0,
				Graph: Boolean(e.closest("#graph")) && e.id !== "graph",
				Name: (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || e.title || "").trim(), Place: e.closest("section, header, footer")?.id ?? "" };
		})()`)
		if stop.Body {
			break
		}
		if !stop.Visible || !stop.Ring || stop.Name == "" {
			t.Errorf("a stop is not to be seen, or has no name: %+v", stop)
		}
		if stop.Graph {
			inGraph++
		}
		seen[stop.Place]++
	}
	if inGraph != 1 {
		t.Errorf("the graph is %d stops of the Tab key, want 1", inGraph)
	}
	for _, place := range []string{"trouble", "traffic", "failures", "routes", "endpoints", "explain"} {
		if seen[place] == 0 {
			t.Errorf("nothing in %s can be reached: %v", place, seen)
		}
	}

	// Arrow keys go from service to service.
	ask[any](t, tab, `card("clients").focus()`)
	walk := func(key, want string) {
		t.Helper()
		press(key)
		if got := focused(); !strings.HasPrefix(got, want) {
			t.Errorf("%s leads to %q, want %s", key, got, want)
		}
	}
	walk("ArrowRight", "istio-ingressgateway")
	ask[any](t, tab, `card("productpage").focus()`)
	walk("End", "ratings")
	walk("Home", "clients")
	ask[any](t, tab, `card("reviews").focus()`)
	walk("ArrowRight", "ratings")
	press("Enter")
	until(t, tab, `!document.getElementById("detail").hidden && document.getElementById("detail-title").textContent.startsWith("ratings")`)
	if at := ask[string](t, tab, `card("ratings").getAttribute("aria-pressed")`); at != "true" {
		t.Errorf("the chosen card says pressed=%s", at)
	}
	press("Escape")
	until(t, tab, `document.getElementById("detail").hidden`)

	// The focus stays where it is while the page is updated.
	ask[any](t, tab, `document.querySelector("#failures-list .failure").focus()`)
	held := focused()
	foot := ask[string](t, tab, `document.getElementById("foot").textContent`)
	until(t, tab, `document.getElementById("foot").textContent !== `+quote(foot))
	if got := focused(); got != held {
		t.Errorf("an update moved the focus from %q to %q", held, got)
	}
	press("Enter")
	until(t, tab, `document.activeElement.getAttribute("aria-expanded") === "true" && document.activeElement.nextSibling.querySelector(".answer, .problem")`)

	press("/")
	if at := ask[string](t, tab, `document.activeElement.id`); at != "filter" {
		t.Errorf("/ leads to %q", at)
	}
	if err := tab.Type("reviews"); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `card("ratings").classList.contains("dim") && !card("reviews").classList.contains("dim")`)
	press("Escape")
	until(t, tab, `!card("ratings").classList.contains("dim")`)

	ask[any](t, tab, `document.querySelector("#explain-form [name=url]").focus()`)
	if err := tab.Type(d.page + "/productpage"); err != nil {
		t.Fatal(err)
	}
	press("Enter")
	until(t, tab, `document.getElementById("explain-answer").textContent.includes("Forwarded to")`)
	wellBehaved(t, tab, d.ui)
}
