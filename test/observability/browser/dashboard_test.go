package browser

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDashboard: on a running demo the page shows the whole of bookinfo, live, and asks nobody
// else for anything.
func TestDashboard(t *testing.T) {
	d := startDemo(t)
	d.traffic(t)
	tab := open(t, d.ui, 1440, 900, "dark")
	wantCards(t, tab, "clients", "istio-ingressgateway", "productpage", "details", "reviews", "ratings")
	until(t, tab, `card("reviews").textContent.includes("v1") && card("reviews").textContent.includes("v2") && card("reviews").textContent.includes("v3")`)
	until(t, tab, `/\d\/s · p95/.test(card("productpage").textContent)`)

	t.Run("columns", func(t *testing.T) {
		x := func(name string) float64 {
			return ask[float64](t, tab, `card("`+name+`").getBoundingClientRect().x`)
		}
		order := []string{"clients", "istio-ingressgateway", "productpage", "reviews", "ratings"}
		for i, name := range order[1:] {
			if x(order[i]) >= x(name) {
				t.Errorf("%s is not left of %s", order[i], name)
			}
		}
	})

	t.Run("update", func(t *testing.T) {
		before := ask[string](t, tab, `document.getElementById("foot").textContent`)
		until(t, tab, `document.getElementById("foot").textContent !== `+quote(before))
	})

	t.Run("weights", func(t *testing.T) {
		d.apply(t, "virtual-service-reviews-90-10.yaml", nil)
		until(t, tab, `/v1 90 % → \d+ %v2 10 % → /.test(document.getElementById("routes-table").textContent)`)
	})

	t.Run("detail", func(t *testing.T) {
		ask[any](t, tab, `card("reviews").click()`)
		until(t, tab, `/Called by/.test(document.getElementById("detail").textContent) && /127\.0\.0\.1:\d+/.test(document.getElementById("detail").textContent)`)
		until(t, tab, `/productpage v1/.test(document.getElementById("detail").textContent)`)
		ask[any](t, tab, `card("reviews").click()`)
		until(t, tab, `document.getElementById("detail").hidden`)
	})

	t.Run("condition", func(t *testing.T) {
		d.apply(t, "virtual-service-reviews-v3.yaml", strings.NewReplacer("subset: v3", "subset: v9"))
		until(t, tab, `/no such subset.*routes\.yaml:13/.test(document.getElementById("trouble-list").textContent)`)
		until(t, tab, `/no such subset.*routes\.yaml:13/.test(document.getElementById("conditions-table").textContent)`)
		until(t, tab, `/alls from productpage v1 (reach no upstream|to reviews .* fail)/.test(document.getElementById("trouble-list").textContent)`)
	})

	t.Run("failure", func(t *testing.T) {
		until(t, tab, `document.querySelector("#failures-list .failure")`)
		// It comes from the gateway, or through it from a sidecar.
		for _, host := range []string{"reviews:9080", "/product"} {
			find := `[...document.querySelectorAll("#failures-list .failure")].find((b) => b.textContent.includes(` + quote(host) + `))`
			// More come meanwhile, above the one that is asked about; one of many is not known
			// for long.
			err := waitFor(func() bool {
				until(t, tab, find)
				ask[any](t, tab, `void (window.opened = `+find+`, opened.click())`)
				until(t, tab, `opened.nextSibling.querySelector("dl")`)
				explained := ask[bool](t, tab, `Boolean(opened.nextSibling.querySelector(".fix"))`)
				ask[any](t, tab, `opened.click()`)
				return explained
			})
			if err != nil {
				t.Errorf("a failure of %s is not explained: %v", host, err)
			}
		}
	})

	t.Run("explain", func(t *testing.T) {
		for _, q := range []struct{ proxy, url, headers, want string }{
			{"istio-ingressgateway", d.page + "/productpage", "", "Forwarded to outbound|9080||productpage.default.svc.cluster.local"},
			{"istio-ingressgateway", d.page + "/product", "", "Nearest miss"},
			{"productpage-v1", "http://reviews:9080/reviews/0", "end-user: jason", "there is no such cluster"},
			{"productpage-v1", "ftp://x", "", "must be http://"},
		} {
			ask[any](t, tab, `(() => {
				const f = document.getElementById("explain-form").elements;
				f.proxy.value = [...f.proxy.options].find((o) => o.textContent === `+quote(q.proxy)+`).value;
				f.url.value = `+quote(q.url)+`;
				f.headers.value = `+quote(q.headers)+`;
				document.querySelector("#explain-form button").click();
			})()`)
			until(t, tab, `document.getElementById("explain-answer").textContent.includes(`+quote(q.want)+`)`)
		}
	})

	t.Run("filter", func(t *testing.T) {
		ask[any](t, tab, `(() => { const f = document.getElementById("filter"); f.value = "RATINGS reviews-v2"; f.dispatchEvent(new Event("input")); })()`)
		until(t, tab, `document.querySelectorAll("#routes-table tbody tr").length === 1`)
		ask[any](t, tab, `(() => { const f = document.getElementById("filter"); f.value = ""; f.dispatchEvent(new Event("input")); })()`)
		until(t, tab, `document.querySelectorAll("#routes-table tbody tr").length > 10`)
	})
	wellBehaved(t, tab, d.ui)
}

// wantCards waits until the graph shows these services. It gives the page a function card.
func wantCards(t testing.TB, tab *Tab, names ...string) {
	t.Helper()
	ask[any](t, tab, `void (window.card = (name) => [...document.querySelectorAll("#graph .node")].find((n) => n.querySelector("b").textContent === name))`)
	for _, name := range names {
		until(t, tab, `card(`+quote(name)+`)`)
	}
}

// wellBehaved fails where the browser complained of the page, or the page asked elsewhere.
func wellBehaved(t testing.TB, tab *Tab, address string) {
	t.Helper()
	complaints := slices.DeleteFunc(tab.Complaints(), func(c string) bool {
		// The answer to a question that makes no sense is an error, and shown as one.
		return strings.Contains(c, "status of 400") && strings.Contains(c, "explain?url=ftp")
	})
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	home, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	requests := tab.Requests()
	if len(requests) < 5 {
		t.Errorf("only these requests were seen: %q", requests)
	}
	for _, r := range requests {
		if u, err := url.Parse(r); err != nil || u.Host != home.Host || u.Scheme != "http" {
			t.Errorf("the page asks elsewhere: %s", r)
		}
	}
}

// apply copies a sample, with changes, to where routes are watched.
func (d *demo) apply(t testing.TB, sample string, change *strings.Replacer) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "samples", sample))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		text = []byte(change.Replace(string(text)))
	}
	if err := os.WriteFile(filepath.Join(d.dir, "config", "routes.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestConnectionLost: a page whose proxy goes says so, and is live again when it comes back; a
// page that is not seen asks for nothing.
func TestConnectionLost(t *testing.T) {
	prepare(t)
	p := newFake()
	address := p.listen(t, "127.0.0.1:0")
	tab := open(t, "http://"+address+"/ui/", 1000, 700, "light")
	p.stop()
	until(t, tab, `document.getElementById("live").textContent.startsWith("Lost")`)
	p.listen(t, address)
	until(t, tab, `document.getElementById("live").textContent === "Live"`)
	hide := func(hidden string) {
		ask[any](t, tab, `void (Object.defineProperty(document, "hidden", { value: `+hidden+`, configurable: true }), document.dispatchEvent(new Event("visibilitychange")))`)
	}
	hide("true")
	until(t, tab, `document.getElementById("live").textContent === "Paused"`)
	if err := waitFor(func() bool { return p.open.Load() == 0 }); err != nil {
		t.Errorf("the page is not seen, and still asks: %v", err)
	}
	hide("false")
	until(t, tab, `document.getElementById("live").textContent === "Live"`)
}

// TestPlainPages: who has no JavaScript is led to the pages in text.
func TestPlainPages(t *testing.T) {
	prepare(t)
	p := newFake()
	address := p.listen(t, "127.0.0.1:0")
	tab, err := chromium.NewTab(800, 600, "light")
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Call("Emulation.setScriptExecutionDisabled", map[string]bool{"value": true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := tab.Open("http://" + address + "/ui/"); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.querySelector("noscript")?.textContent.includes("needs JavaScript")`)
	response, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the pages in text: %s", response.Status)
	}
}
