package validate

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// verdict is one of Istio's verdicts in testdata/istio-validation.yaml.
type verdict struct {
	Kind    string `json:"kind"`
	Spec    string `json:"spec"`
	Verdict string `json:"verdict"`
}

// check decodes and validates an object x in namespace default, as Sluice does.
func check(t testing.TB, kind, spec string) (*config.Object, []config.Condition) {
	t.Helper()
	text := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: x}\nspec: %s\n", kind, spec)
	objects, conditions := config.ParseObjects(config.Document{Line: 1, Text: []byte(text)}, "f.yaml")
	if len(objects) != 1 {
		t.Fatalf("%s: %v", text, conditions)
	}
	typed, conditions := decode.Decode(objects[0])
	if typed != nil {
		found := Object(typed)
		objects[0].Place(found)
		conditions = append(conditions, found...)
	}
	return objects[0], conditions
}

// TestAgreesWithIstio compares our verdicts with those of Istio's validator.
func TestAgreesWithIstio(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/istio-validation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []verdict
	if err := yaml.UnmarshalStrict(data, &verdicts); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, v := range verdicts {
		switch v.Kind {
		case "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication":
			continue // not served yet, so nothing judges them
		}
		compared++
		_, conditions := check(t, v.Kind, v.Spec)
		worst, named := config.Severity(""), false
		for _, c := range conditions {
			switch {
			case c.Severity == config.Error:
				worst = config.Error
				named = named || c.Field != ""
			case c.Severity == config.Warning && worst == "":
				worst = config.Warning
			}
		}
		agrees := false
		switch v.Verdict {
		case "invalid":
			agrees = worst == config.Error && named
		case "warning":
			agrees = worst == config.Warning
		case "ok":
			agrees = worst != config.Error
		}
		if !agrees {
			t.Errorf("case %d, %s is %s, not %q:\n%s\n%s", i, v.Kind, v.Verdict, worst, v.Spec, lines(conditions))
		}
	}
	if compared != 355 {
		t.Errorf("compared %d cases", compared)
	}
}

// objectOf returns an object whose manifest is its spec only.
func objectOf(kind, spec string) *config.Object {
	return &config.Object{Key: config.Key{Group: "networking.istio.io", Kind: kind, Namespace: "default", Name: "x"}, Version: "v1", Source: config.Plain("spec: " + spec), Line: 1}
}

func lines(conditions []config.Condition) string {
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "  %s %s %s\n", c.Severity, c.Reason, c)
	}
	return b.String()
}
