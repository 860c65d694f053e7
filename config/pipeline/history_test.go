package pipeline_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// edit is a change to one object: to another version, which is good or broken, to another line,
// or its end.
type edit struct {
	key  config.Key
	set  *config.Object
	good bool
	line int
}

func (e edit) String() string {
	switch {
	case e.set != nil:
		return fmt.Sprintf("--- # good: %t, at line %d\n%s", e.good, e.set.Line, e.set.Text())
	case e.line > 0:
		return fmt.Sprintf("--- # %s moves to line %d\n", e.key, e.line)
	}
	return fmt.Sprintf("--- # %s goes\n", e.key)
}

// change makes up a change to some objects.
func (c changer) change(step int) []edit {
	n := 1 + c.IntN(3)
	switch {
	case step == 0:
		n = 40
	case c.oneIn(8):
		n = 20
	}
	var edits []edit
	for range n {
		e := edit{}
		e.set, e.good = c.object()
		if e.key = e.set.Key; step > 0 {
			switch c.IntN(10) {
			case 0, 1, 2:
				e.set = nil
			case 3:
				e.set, e.line = nil, 1+c.IntN(50)
			}
		}
		if !slices.ContainsFunc(edits, func(other edit) bool { return other.key == e.key }) {
			edits = append(edits, e)
		}
	}
	return edits
}

// history is what was written so far.
type history struct {
	changer
	known map[config.Key]*written
	// inUse are the Secrets that the last table has.
	inUse map[config.Key]bool
}

// written is an object: its last version, the last one that may enter force, and where it
// stands now. Of a Secret that is gone while in use there is only its last good version.
type written struct {
	last, good *config.Object
	line       int
	// kept is the material of a Secret that is gone, and serves on.
	kept *config.Object
}

// apply takes edits, and returns them as sources tell of them.
func (h *history) apply(edits []edit) config.Delta {
	var d config.Delta
	for _, e := range edits {
		k := h.known[e.key]
		there := k != nil && k.last != nil
		switch {
		case e.set != nil:
			if k == nil {
				k = &written{}
				h.known[e.key] = k
			}
			h.set(k, e.set, e.good)
			d.Set = append(d.Set, e.set)
		case there && e.line > 0:
			k.line = e.line
			d.Moved = append(d.Moved, config.Place{Key: e.key, Line: k.line})
		case there:
			h.remove(k)
			d.Removed = append(d.Removed, e.key)
		}
	}
	return d
}

func (h *history) set(k *written, o *config.Object, good bool) {
	k.last, k.line = o, o.Line
	if !good {
		return
	}
	if o.Kind == "Secret" && !holdsTLS(o) {
		h.keep(k)
	} else {
		k.kept = nil
	}
	k.good = o
}

func (h *history) remove(k *written) {
	h.keep(k)
	k.last, k.good = nil, nil
}

// keep has a Secret's material serve on, where it is in use.
func (h *history) keep(k *written) {
	if k.good != nil && k.good.Kind == "Secret" && holdsTLS(k.good) && h.inUse[k.good.Key] {
		k.kept = k.good
	}
}

// again are the changes that lead to the same without what came between: first everything
// that is good, then what is gone, then what is broken.
func (h *history) again() []config.Delta {
	var first, gone, broken config.Delta
	for _, key := range slices.SortedFunc(maps.Keys(h.known), compareKeys) {
		k := h.known[key]
		switch {
		case k.kept != nil:
			first.Set = append(first.Set, k.kept)
			gone.Removed = append(gone.Removed, key)
			if k.good != nil {
				gone.Removed = gone.Removed[:len(gone.Removed)-1]
				gone.Set = append(gone.Set, k.good)
			}
		case k.good != nil && k.good == k.last:
			placed := *k.good
			placed.Line = k.line
			first.Set = append(first.Set, &placed)
		case k.good != nil:
			first.Set = append(first.Set, k.good)
		}
		if k.last != nil && (k.good != k.last || k.kept != nil) {
			broken.Set = append(broken.Set, k.last)
			broken.Moved = append(broken.Moved, config.Place{Key: key, Line: k.line})
		}
	}
	h.Shuffle(len(first.Set), func(i, j int) { first.Set[i], first.Set[j] = first.Set[j], first.Set[i] })
	return []config.Delta{first, gone, broken, {Moved: broken.Moved}}
}

// settle takes note of what the table has.
func (h *history) settle(table *router.Table) {
	clear(h.inUse)
	for key, k := range h.known {
		if key.Kind == "Secret" && table.Secret(key.Namespace+"/"+key.Name) != nil {
			h.inUse[key] = true
		} else {
			k.kept = nil
		}
		if k.last == nil && k.kept == nil {
			delete(h.known, key)
		}
	}
}

func compareKeys(a, b config.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
}

// requests are some to ask tables of.
func (h *history) requests() []*router.Request {
	var out []*router.Request
	for range 6 {
		out = append(out, &router.Request{
			Listener: h.pick("0.0.0.0_80", "0.0.0.0_8080", "outbound", "outbound"), Port: uint16(h.pickInt(80, 9080, 443)), Method: h.pick("GET", "POST"), Scheme: "http",
			Authority: h.pick("a", "b.shop", "x.org", "y.org", "a.example.com", "b.example.com", "c.shop.svc.cluster.local"), Path: h.pick("/", "/api", "/x", "/own/a"),
			Headers: []router.Header{{Name: "x", Value: h.pick("1", "2")}},
		})
	}
	return out
}
