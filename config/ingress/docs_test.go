package ingress

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented: the page names every annotation that somebody may expect something of.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/ingress.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range knownAnnotations {
		if k.effect != useless && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/ingress.md does not name %s", name)
		}
		if (k.effect == served) != (k.message == "") {
			t.Errorf("%s: the message does not go with the effect", name)
		}
	}
}
