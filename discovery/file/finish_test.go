package file

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCarryIsLinear: when all objects of a file have an error, their last versions are found in
// no more than a few times what it takes to read the file.
func TestCarryIsLinear(t *testing.T) {
	const objects = 16000
	var text strings.Builder
	for i := range objects {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: s%d\n  labels: {version: \"1\"}\n", i)
	}
	read := func(text string, had *content) *draft {
		d := &draft{content: content{place: place{path: "x.yaml"}}, had: had}
		d.take([]byte(text))
		parse([]*draft{d})
		d.keepTexts()
		return d
	}
	had := read(text.String(), nil).finish()
	bad := strings.ReplaceAll(text.String(), `"1"`, "1")
	var reading, carrying time.Duration
	for range 5 {
		began := time.Now()
		d := read(bad, had)
		reading = time.Since(began)
		began = time.Now()
		now := d.finish()
		carrying = time.Since(began)
		if n := len(now.objects); n != objects {
			t.Fatalf("%d objects stay in force, want %d", n, objects)
		}
		if carrying < 5*reading {
			return
		}
	}
	t.Errorf("%s to read the file, and %s to find the last versions of its objects", reading, carrying)
}
