package start

import "testing"

func TestIsLocality(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"us-east": true, "us-east/zone1": true, "us-east/zone1/rack7": true, "us.east_1/zone:1": true,
		"": false, "/": false, "us-east/": false, "/zone1": false, "us-east//rack7": false, "us-east/zone1/rack7/": false,
		"us-east/zone1/rack7/slot": false, "*": false, "us-east/*": false, "us east": false, "us-east/zone1\n": false,
	} {
		if got := isLocality(s); got != want {
			t.Errorf("%q is a locality: %t, want %t", s, got, want)
		}
	}
}
