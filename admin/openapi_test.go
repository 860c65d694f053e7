package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/telemetry/recent"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// document is what of OpenAPI's document the test looks at.
type document struct {
	Paths map[string]map[string]struct {
		Summary   string         `json:"summary"`
		Responses map[string]any `json:"responses"`
	} `json:"paths"`
}

// everything are options with all that there can be.
func everything(t *testing.T) Options {
	t.Helper()
	o := options(t)
	o.Recent = recent.New(recent.Options{})
	t.Cleanup(o.Recent.Close)
	o.LogLevel = &slog.LevelVar{}
	o.Drain, o.Quit, o.FailHealth = func(bool) {}, func() {}, func(bool) {}
	o.Profiles = true
	o.UI = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })
	return o
}

// TestOpenAPIDescribesEveryPage: each page that is served is described, and nothing else is.
func TestOpenAPIDescribesEveryPage(t *testing.T) {
	t.Parallel()
	var doc document
	if err := json.Unmarshal(openAPIJSON, &doc); err != nil {
		t.Fatal(err)
	}
	served := make(map[string]bool)
	err := newRouter(everything(t)).Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		if err != nil {
			methods = reading
		}
		for _, m := range methods {
			if m != http.MethodHead {
				served[strings.ToLower(m)+" "+path] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			described[method+" "+path] = true
			if op.Summary == "" || len(op.Responses) < 2 {
				t.Errorf("%s %s: no summary, or no response beside the problem", method, path)
			}
		}
	}
	for at := range served {
		if !described[at] {
			t.Errorf("%s is served, but openapi.yaml does not describe it", at)
		}
	}
	for at := range described {
		if !served[at] {
			t.Errorf("%s is described, but not served", at)
		}
	}
}

// TestOpenAPIIsOneDocument: both forms say the same.
func TestOpenAPIIsOneDocument(t *testing.T) {
	t.Parallel()
	var doc any
	if err := yaml.Unmarshal(openAPIYAML, &doc); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, openAPIJSON) {
		t.Error("openapi.json is not what openapi.yaml says: go test ./admin -run TestOpenAPIIsOneDocument -update")
	}
}

// TestFilterParametersAreDescribed: what a tap takes is what the document says.
func TestFilterParametersAreDescribed(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name string `json:"name"`
			} `json:"parameters"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(openAPIJSON, &doc); err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, p := range doc.Paths["/tap"]["get"].Parameters {
		described = append(described, p.Name)
	}
	want := []string{"count", "duration"}
	for name := range recent.FilterParameters {
		want = append(want, name)
	}
	slices.Sort(described)
	slices.Sort(want)
	if !slices.Equal(described, want) {
		t.Errorf("described %v, taken %v", described, want)
	}
}
