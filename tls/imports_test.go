package tls

import (
	"go/build"
	"slices"
	"testing"
)

// The room knows neither HTTP nor who issues certificates, and of ours the router and the
// proxy's words only: the sidecar has it too.
func TestImports(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"github.com/fsnotify/fsnotify", "golang.org/x/crypto/ocsp",
		"github.com/sluicegate/sluice/proxy", "github.com/sluicegate/sluice/router",
	}
	pkg, err := build.ImportDir(".", 0)
	must(t, err)
	for _, path := range pkg.Imports {
		standard := path != "net/http" && !slices.Contains([]byte(path), '.')
		if !standard && !slices.Contains(allowed, path) {
			t.Errorf("imports %s", path)
		}
	}
}
