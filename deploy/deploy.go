// Package deploy holds what is installed on Kubernetes: the Helm chart, and the profiles,
// which are values for it. Package chart renders it; packages crds and install do the rest
// of what `sluice install` does.
package deploy

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/deploy/chart"
)

//go:embed all:charts profiles
var files embed.FS

// DefaultProfile is the profile of those who name none.
const DefaultProfile = "default"

// Gateway returns the chart of the gateway.
func Gateway() (*chart.Chart, error) {
	dir, err := fs.Sub(files, "charts/sluice-gateway")
	if err != nil {
		return nil, err
	}
	return chart.Load(dir)
}

// Profiles returns the names of the profiles, the default one first.
func Profiles() []string {
	entries, err := fs.ReadDir(files, "profiles")
	if err != nil {
		panic(err) // it is part of the binary
	}
	names := []string{DefaultProfile}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != DefaultProfile {
			names = append(names, name)
		}
	}
	return names
}

// Profile returns the text of a profile: values in YAML, with a comment that says what it
// is for.
func Profile(name string) (string, error) {
	if names := Profiles(); !slices.Contains(names, name) {
		return "", fmt.Errorf("there is no profile %q; there are %s", name, strings.Join(names, ", "))
	}
	text, err := files.ReadFile("profiles/" + name + ".yaml")
	return string(text), err
}
