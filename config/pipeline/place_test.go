package pipeline

import (
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// TestLocate finds fields in files, where they stand now, and nothing of what is gone.
func TestLocate(t *testing.T) {
	t.Parallel()
	made := 0
	p := New(Options{NewCompiler: func() Compile { return newFront(&made, "") }, Publish: func(*router.Table) {}})
	o := &config.Object{
		Key: config.Key{Group: "g", Kind: "K", Namespace: "n", Name: "a"}, Labels: map[string]string{"v": "1"}, File: "shop.yaml", Line: 10,
		Source: config.Plain("kind: K\nspec:\n  http:\n  - match: x\n"),
	}
	plain := &config.Object{Key: config.Key{Kind: "K", Name: "cluster"}, Labels: map[string]string{"v": "1"}}
	expect := func(origin router.Origin, file string, line int) {
		t.Helper()
		if f, l := p.Locate(origin); f != file || l != line {
			t.Errorf("%s is at %q:%d, want %q:%d", origin, f, l, file, line)
		}
	}
	at := router.Origin{Kind: "K", Namespace: "n", Name: "a", Field: "http[0].match"}
	expect(at, "", 0)
	p.Apply(config.Delta{Set: []*config.Object{o, plain}})
	expect(at, "shop.yaml", 13)
	expect(router.Origin{Kind: "K", Namespace: "n", Name: "a", Field: "http[7].uri"}, "shop.yaml", 12)
	expect(router.Origin{Kind: "K", Name: "cluster"}, "", 0)
	p.Apply(config.Delta{Moved: []config.Place{{Key: o.Key, Line: 15}}})
	expect(at, "shop.yaml", 18)
	p.Apply(config.Delta{Removed: []config.Key{o.Key}})
	expect(at, "", 0)
}
