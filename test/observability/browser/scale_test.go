package browser

import (
	"testing"
	"time"
)

// TestManyServicesAndRoutes: with 200 services and 1,000 routes the page has few rows, and an
// update costs little.
func TestManyServicesAndRoutes(t *testing.T) {
	prepare(t)
	p := crowd(200, 1000)
	tab := open(t, "http://"+p.listen(t, "127.0.0.1:0")+"/ui/", 1440, 900, "dark")
	until(t, tab, `document.querySelectorAll("#graph .node").length >= 200`)
	until(t, tab, `document.querySelector("#routes-table table").getAttribute("aria-rowcount") === "1001"`)
	until(t, tab, `/\d\/s/.test(document.querySelector("#routes-table tbody").textContent)`)
	for _, id := range []string{"routes", "endpoints"} {
		if rows := ask[int](t, tab, `document.querySelectorAll("#`+id+`-table tr").length`); rows > 70 {
			t.Errorf("%s: %d rows are there; only those in view should be", id, rows)
		}
	}
	ask[any](t, tab, `void (document.querySelector("#routes-table .frame").scrollTop = 1e6)`)
	until(t, tab, `document.querySelector("#routes-table").textContent.includes("/part/999/")`)

	// The filter leaves of the graph what is wanted, and what is beside it.
	filter := func(text string) {
		ask[any](t, tab, `(() => { const f = document.getElementById("filter"); f.value = `+quote(text)+`; f.dispatchEvent(new Event("input")); })()`)
	}
	filter("service-123")
	until(t, tab, `document.querySelectorAll("#graph .node").length === 2`)
	filter("")
	until(t, tab, `document.querySelectorAll("#graph .node").length >= 200`)
	if !ask[bool](t, tab, `(() => { const g = document.getElementById("graph").getBoundingClientRect(), c = document.querySelector("#graph .node").getBoundingClientRect(); return c.top >= g.top && c.bottom <= g.bottom })()`) {
		t.Error("the beginning of a tall graph is out of view")
	}

	cost := func() (total float64) {
		var m struct {
			Metrics []struct {
				Name  string
				Value float64
			}
		}
		if err := tab.Call("Performance.getMetrics", nil, &m); err != nil {
			t.Fatal(err)
		}
		for _, metric := range m.Metrics {
			if metric.Name == "TaskDuration" {
				total = metric.Value
			}
		}
		return total
	}
	if err := tab.Call("Performance.enable", nil, nil); err != nil {
		t.Fatal(err)
	}
	before, began := cost(), time.Now()
	at := ask[string](t, tab, `document.getElementById("foot").textContent`)
	for range 5 {
		until(t, tab, `document.getElementById("foot").textContent !== `+quote(at))
		at = ask[string](t, tab, `document.getElementById("foot").textContent`)
	}
	// What that is depends on the machine and on what else it does.
	t.Logf("the page takes %.0f %% of a processor", 100*(cost()-before)/time.Since(began).Seconds())
}
