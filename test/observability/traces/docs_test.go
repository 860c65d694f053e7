package traces

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedManifests: what docs/tracing.md shows switches tracing on, at the collector that
// it names and with the tags that it shows.
func TestDocumentedManifests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d manifests are shown, want 3", len(blocks))
	}
	whole, overHTTP, tags := blocks[0][1], blocks[1][1], blocks[2][1]
	// The parts stand in the place of the whole's: indented by 2 more, a ConfigMap's text begins.
	providers := regexp.MustCompile(`(?s)    extensionProviders:.*?---\n`)
	if !providers.MatchString(whole) {
		t.Fatal("the manifest names no providers")
	}
	for name, manifest := range map[string]string{
		"gRPC": whole + tags,
		"HTTP": providers.ReplaceAllString(whole, strings.ReplaceAll(overHTTP, "collector.example.com", "localhost")+"---\n") + tags,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			at, _ := s.serve(t, "127.0.0.1:0", name == "HTTP")
			m := newManifests(t)
			m.write(t, "tracing.yaml", strings.NewReplacer("4317", portOf(at), "4318", portOf(at)).Replace(manifest))
			m.shop(t, newBackend(t, 0), "")
			url, _ := m.gateway(t)
			trace, parent := ids()
			get(t, url+"/shop/", "x-b3-traceid: "+trace, "x-b3-spanid: "+parent, "end-user: jason")
			spans := s.await(t, trace, 2)
			for tag, want := range map[string]string{"environment": "production", "user": "jason", "region": "eu"} {
				if got := spans[0].Tags[tag]; got != want {
					t.Errorf("%s is %q, want %q", tag, got, want)
				}
			}
		})
	}
}
