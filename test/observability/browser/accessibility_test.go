package browser

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// axeVersion is the accessibility checker that judges the page, axeIntegrity its package's hash
// as npm tells it.
const (
	axeVersion   = "axe-core@4.14.1"
	axeIntegrity = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

// axe returns the checker's script, from the npm registry.
func axe(t testing.TB) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("npm is not installed: the accessibility checker comes from its registry")
	}
	dir := t.TempDir()
	pack := exec.Command(npm, "pack", axeVersion, "--silent", "--pack-destination", dir)
	pack.Dir = dir
	if out, err := pack.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("the accessibility checker cannot be had: %v\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "axe-core-*.tgz"))
	if err != nil || len(found) != 1 {
		t.Fatalf("npm packed %q, %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha512.Sum512(text); base64.StdEncoding.EncodeToString(sum[:]) != axeIntegrity {
		t.Fatalf("%s is not what it was", axeVersion)
	}
	script, err := unpack(string(text), "package/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// unpack returns a file of a compressed archive.
func unpack(archive, name string) (string, error) {
	z, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return "", errors.Join(err, errors.New("no "+name))
		}
		if h.Name == name {
			text, err := io.ReadAll(r)
			return string(text), err
		}
	}
}

// violation is what the checker finds.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string
	}
}

// check has the page judged by WCAG 2.2 A and AA, and by what the checker holds good practice.
func check(t testing.TB, tab *Tab, script, when string) {
	t.Helper()
	if err := tab.Eval(script+";0", nil); err != nil {
		t.Fatal(err)
	}
	var found string
	// It reads and measures the page; what it would fetch from elsewhere is off.
	err := tab.Eval(`axe.run(document, { preload: false, resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) => ({ ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({ HTML: n.html, FailureSummary: n.failureSummary })) }))))`, &found)
	if err != nil {
		t.Fatal(err)
	}
	var violations []violation
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		for i, n := range v.Nodes {
			if i < 3 {
				t.Errorf("%s: %s: %s\n%.300s\n%s", when, v.ID, v.Help, n.HTML, n.FailureSummary)
			}
		}
	}
}

// TestAccessibility: the checker finds nothing, in the light and the dark, wide and narrow, on
// a quiet day and with much that is wrong.
func TestAccessibility(t *testing.T) {
	prepare(t)
	script := axe(t)
	d := startDemo(t)
	d.traffic(t)
	tab := open(t, d.ui, 1440, 900, "dark")
	wantCards(t, tab, "reviews", "ratings")
	until(t, tab, `/\d\/s · p95/.test(card("productpage").textContent)`)
	check(t, tab, script, "dark")

	d.apply(t, "virtual-service-reviews-v3.yaml", strings.NewReplacer("subset: v3", "subset: v9"))
	until(t, tab, `document.querySelector("#trouble-list [data-level=bad]") && document.querySelector("#graph path[data-level=bad]")`)
	ask[any](t, tab, `card("reviews").click()`)
	ask[any](t, tab, `document.querySelector("#failures-list .failure").click()`)
	until(t, tab, `document.querySelector("#failures-list .answer, #failures-list .problem")`)
	ask[any](t, tab, `void document.querySelectorAll("details").forEach((e) => (e.open = true))`)
	ask[any](t, tab, `(() => { const f = document.getElementById("explain-form"); f.elements.url.value = `+quote(d.page+"/product")+`; f.querySelector("button").click(); })()`)
	until(t, tab, `document.querySelector("#explain-answer .answer")`)
	for _, look := range []struct {
		scheme string
		width  int
	}{{"dark", 1440}, {"light", 1440}, {"light", 390}, {"dark", 800}} {
		if err := errors.Join(tab.Media(look.scheme, "reduce"), tab.Resize(look.width, 900)); err != nil {
			t.Fatal(err)
		}
		until(t, tab, `innerWidth === `+strconv.Itoa(look.width))
		check(t, tab, script, look.scheme+" with much open")
		if width := ask[int](t, tab, `document.documentElement.scrollWidth`); width > look.width {
			t.Errorf("at %d the page must be scrolled sideways: it is %d wide", look.width, width)
		}
	}
	if moves := ask[string](t, tab, `getComputedStyle(document.documentElement).scrollBehavior`); moves != "auto" {
		t.Errorf("who wants no motion gets scroll-behavior %s", moves)
	}
}
