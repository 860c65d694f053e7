package role

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestDocumentedPages: the admin server's page in the documents has all that the server
// has, and no more; and so has the page of metrics.
func TestDocumentedPages(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/admin.md")
	if err != nil {
		t.Fatal(err)
	}
	described, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, func(o *Options) { o.AccessLog = os.DevNull })
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, upstream(t, "x", text("ok")))
	fetch(t, "http://"+s.Address("a")+"/")
	fetch(t, "http://"+s.Address("a")+"/a%2fb") // refused

	_, index := fetch(t, "http://"+s.Admin+"/")
	pages := find(index, `(?m)^  (/\S+)`)
	if got := find(string(page), "(?m)^\\| `(/[^`]*)` \\|"); !slices.Equal(without(got, "/", "/healthz/live", "/healthz/ready"), pages) {
		t.Errorf("documented pages are %q, want %q", got, pages)
	}
	metrics := p.metrics("sluice_rejected_requests_total")
	series := find(metrics, `(?m)^# TYPE (sluice_\w+)`)
	if got := find(string(described), "`(sluice_\\w+)[`{]"); !slices.Equal(got, series) {
		t.Errorf("documented metrics are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(series, "\n"))
	}
}

// find returns the matches of an expression's group, sorted, each once.
func find(text, expression string) []string {
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(names, s) })
}
