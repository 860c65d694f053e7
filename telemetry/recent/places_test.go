package recent

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestPlaces: every key is found where it was put, in a table that grows, and never beyond what
// it may hold.
func TestPlaces(t *testing.T) {
	t.Parallel()
	var p places
	routes := make([]router.CompiledRoute, 100)
	destinations := make([]router.CompiledDestination, 5)
	put := map[placeKey]*tally{}
	if p.find(&placeKey{}) != nil {
		t.Error("something is found in nothing")
	}
	for i := range maxCached {
		key := placeKey{listener: fmt.Sprintf("listener %d of many", i/500)}
		if r := i % 100; r > 0 {
			key.route, key.destination = &routes[r], &destinations[i/100%5]
		} else if i%500 > 0 {
			continue
		}
		if p.find(&key) != nil {
			t.Fatalf("%v is there before it was put", key)
		}
		put[key] = &tally{listener: &key.listener}
		p.add(&key, put[key])
	}
	for key, want := range put {
		if p.find(&key) != want {
			t.Errorf("%v: another", key)
		}
	}
	if p.used != len(put) || 4*p.used > 3*len(p.slots) {
		t.Errorf("%d of %d places, %d slots", p.used, len(put), len(p.slots))
	}
	for i := range 3 * maxCached {
		key := placeKey{listener: fmt.Sprint("listener ", i)}
		p.add(&key, &tally{listener: &key.listener})
	}
	if p.used > maxCached || len(p.slots) > 2*maxCached {
		t.Errorf("%d places, %d slots", p.used, len(p.slots))
	}
	p.clear()
	for _, s := range p.slots {
		if s != (place{}) {
			t.Fatal("it holds on to what it has forgotten")
		}
	}
}
