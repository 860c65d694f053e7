package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// go test ./browser -run Screenshots -update
var update = flag.Bool("update", false, "write the screenshots in docs anew")

// maxScreenshot bounds a picture in the documents, in bytes.
const maxScreenshot = 150_000

// TestScreenshots takes the pictures of docs/dashboard.md: a quiet day, and one with trouble.
func TestScreenshots(t *testing.T) {
	d := startDemo(t)
	d.traffic(t)
	tab := open(t, d.ui, 1440, 900, "light")
	wantCards(t, tab, "reviews", "ratings")
	d.apply(t, "virtual-service-reviews-90-10.yaml", nil)
	points := "5"
	if *update { // a line that has grown for a while
		points = "45"
	}
	until(t, tab, `/^v1 *90 %v2/.test(card("reviews").querySelector(".node-rows").textContent) || `+points+` < 10`)
	grown := `document.querySelector(".tile polyline").getAttribute("points")?.split(" ").length >= ` + points
	if err := waitFor(func() bool { return ask[bool](t, tab, `Boolean(`+grown+`)`) }); err != nil && !*update {
		t.Fatal(err)
	}
	picture(t, tab, "dashboard.png", "productpage")

	d.apply(t, "virtual-service-reviews-v3.yaml", strings.NewReplacer("subset: v3", "subset: v9"))
	if err := tab.Media("dark", "reduce"); err != nil {
		t.Fatal(err)
	}
	if err := tab.Resize(1440, 1180); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.querySelector("#trouble-list [data-level=bad]") && document.querySelector("#graph path[data-level=bad]")`)
	find := `[...document.querySelectorAll("#failures-list .failure")].find((b) => b.textContent.includes("reviews:9080"))`
	until(t, tab, find)
	err := waitFor(func() bool {
		ask[any](t, tab, `void (window.opened = `+find+`, opened.click())`)
		until(t, tab, `opened.nextSibling.querySelector("dl")`)
		if ask[bool](t, tab, `Boolean(opened.nextSibling.querySelector(".fix"))`) {
			return true
		}
		ask[any](t, tab, `opened.click()`) // it came too long ago to be known still
		return false
	})
	if err != nil {
		t.Fatalf("the failure is not explained: %v", err)
	}
	picture(t, tab, "dashboard-trouble.png", "Error")
}

// picture takes what is seen, once a text is in it.
func picture(t *testing.T, tab *Tab, name, text string) {
	t.Helper()
	until(t, tab, `document.body.textContent.includes(`+quote(text)+`)`)
	shot, err := tab.Screenshot(false)
	if err != nil {
		t.Fatal(err)
	}
	small, err := fewerColors(shot)
	if err != nil {
		t.Fatal(err)
	}
	if len(small) < 10_000 || len(small) > maxScreenshot {
		t.Errorf("%s has %d bytes, want up to %d", name, len(small), maxScreenshot)
	}
	file := filepath.Join("..", "..", "..", "docs", "images", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, small, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("go test ./browser -run Screenshots -update makes it: %v", err)
	}
}

// fewerColors returns a picture with its 256 most frequent colours, which is all that is seen
// of a page without photographs, and a third of the bytes.
func fewerColors(picture []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds := from.Bounds()
	often := map[color.Color]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			often[from.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(often), func(a, b color.Color) int { return cmp.Compare(often[b], often[a]) })
	to := image.NewPaletted(bounds, colors[:min(256, len(colors))])
	nearest := map[color.Color]uint8{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			c := from.At(x, y)
			n, known := nearest[c]
			if !known {
				n = uint8(to.Palette.Index(c))
				nearest[c] = n
			}
			to.SetColorIndex(x, y, n)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}
