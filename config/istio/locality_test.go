package istio

import "testing"

func TestLocalityMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, locality string
		want              bool
	}{
		{"*", "", true},
		{"*", "east/z1/s1", true},
		{"east", "east/z1/s1", true},
		{"east", "", false},
		{"east", "eastern/z1", false},
		{"east/*", "east/z1", true},
		{"east/*", "west/z1", false},
		{"east/z1", "east/z1/s1", true},
		{"east/z1", "east/z2/s1", false},
		{"east/z1", "east", false},
		{"east/z1/*", "east/z1", true},
		{"east/z1/s1", "east/z1/s1", true},
		{"east/z1/s1", "east/z1/s2", false},
		{"east/z1/s1", "east/z1", false},
		{"east/*/s1", "east/z9/s1", true},
	} {
		if got := localityMatches(test.pattern, test.locality); got != test.want {
			t.Errorf("%q takes %q: %v", test.pattern, test.locality, got)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	here := &place{locality: "east/z1/s1", labels: map[string]string{"tier": "gold", "topology.kubernetes.io/zone": "said"}}
	for name, want := range map[string]string{
		"tier": "gold", "missing": "", "topology.kubernetes.io/region": "east", "topology.kubernetes.io/zone": "said", "topology.istio.io/subzone": "s1",
	} {
		if got := here.label(name); got != want {
			t.Errorf("label %s: %q, want %q", name, got, want)
		}
	}
	if got := (&place{locality: "east"}).label("topology.istio.io/subzone"); got != "" {
		t.Errorf("a subzone of a locality without: %q", got)
	}
	for _, test := range []struct{ own, zone, want string }{
		{"east/z1/s1", "z1", "east/z1"}, {"east/z1", "z2", "/z2"}, {"east", "z1", "/z1"}, {"", "z1", "/z1"},
	} {
		if got := (&place{locality: test.own}).inZone(test.zone); got != test.want {
			t.Errorf("zone %s seen from %q: %q, want %q", test.zone, test.own, got, test.want)
		}
	}
}
