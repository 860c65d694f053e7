package browser

import (
	"strings"
	"testing"
)

// TestHostileTexts: whatever a name, a path or a header says, it is shown as text.
func TestHostileTexts(t *testing.T) {
	prepare(t)
	p := hostile()
	address := "http://" + p.listen(t, "127.0.0.1:0") + "/ui/"
	tab := open(t, address, 1400, 900, "light")
	elements := `document.querySelectorAll("script, img, svg, a, iframe, object, embed, link, style").length`
	until(t, tab, `document.querySelectorAll("#graph .node").length >= `+"10")
	// Everything that can be opened is.
	ask[any](t, tab, `void document.querySelectorAll("#failures-list .failure").forEach((b) => b.click())`)
	ask[any](t, tab, `void document.querySelectorAll("#graph .node").forEach((b) => b.click())`)
	ask[any](t, tab, `void document.querySelectorAll("details").forEach((d) => (d.open = true))`)
	until(t, tab, `!document.getElementById("failures-list").textContent.includes("Asking …")`)
	if shown := ask[string](t, tab, `document.body.textContent`); !strings.Contains(shown, evil[0]) || !strings.Contains(shown, evil[1]) {
		t.Error("the texts are not shown as they are")
	}
	if taken := ask[any](t, tab, `window.taken ?? null`); taken != nil {
		t.Errorf("text %v was taken for more than text", taken)
	}
	if n := ask[int](t, tab, `document.querySelectorAll("script:not([src='main.js']), img:not([src='icon.svg']), svg[onload], [onerror], iframe, a[href^='javascript:']").length`); n != 0 {
		t.Errorf("%d elements came of texts; there are %d that could", n, ask[int](t, tab, elements))
	}
	if width := ask[int](t, tab, `document.documentElement.scrollWidth`); width > 1400 {
		t.Errorf("long texts make the page %d wide", width)
	}
	// No markup can be made by mistake, either.
	if made := ask[bool](t, tab, `(() => { try { document.createElement("p").innerHTML = "<b>"; return true } catch { return false } })()`); made {
		t.Error("the page's policy lets text become markup")
	}
}
