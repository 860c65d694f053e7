package config_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// TestKeyed does the same to a Keyed and to a map.
func TestKeyed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		things := config.NewKeyed(func(o *config.Object) config.Key { return o.Key })
		want := map[config.Key]*config.Object{}
		for range 2000 {
			o := &config.Object{Key: config.Key{Kind: "Service", Namespace: "a", Name: fmt.Sprint(random.IntN(100))}}
			if random.IntN(2) == 0 {
				things.Set(o)
				want[o.Key] = o
			} else {
				things.Delete(o.Key)
				delete(want, o.Key)
			}
			switch random.IntN(500) {
			case 0:
				things.Clear()
				clear(want)
			case 1:
				things.Grow(random.IntN(100))
			}
			if got := things.Get(o.Key); got != want[o.Key] {
				t.Fatalf("seed %d: %v is %p, want %p", seed, o.Key, got, want[o.Key])
			}
		}
		seen := 0
		for o := range things.All() {
			seen++
			if want[o.Key] != o {
				t.Errorf("seed %d: %v is none, or another", seed, o.Key)
			}
		}
		if seen != len(want) || things.Len() != len(want) {
			t.Errorf("seed %d: %d things, said to be %d, want %d", seed, seen, things.Len(), len(want))
		}
		for key, o := range want {
			if things.Get(key) != o {
				t.Errorf("seed %d: no %v", seed, key)
			}
		}
	}
}
