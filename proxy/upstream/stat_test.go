package upstream

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each number has a name of its own, under which it is told.
func TestStatNames(t *testing.T) {
	t.Parallel()
	var s Stats
	for i := range s {
		s[i] = uint64(i) + 1
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var told map[string]uint64
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(told) != len(s) {
		t.Errorf("%d names for %d numbers", len(told), len(s))
	}
	for i := range s {
		name := Stat(i).String()
		if told[name] != uint64(i)+1 {
			t.Errorf("%q is told as %d", name, told[name])
		}
		level := strings.HasSuffix(name, "_active") || strings.HasSuffix(name, "_open") || name == "membership_total" || name == "membership_healthy"
		if Stat(i).Gauge() != level {
			t.Errorf("%s: gauge %v", name, Stat(i).Gauge())
		}
	}
}
