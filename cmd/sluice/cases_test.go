package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// routingCase is one configuration of config/istio/testdata and calls with the
// outcome that Istio's own engine gives.
type routingCase struct {
	Name   string        `json:"name"`
	Config string        `json:"config"`
	Calls  []routingCall `json:"calls"`
}

type routingCall struct {
	Request struct {
		Host    string            `json:"host"`
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Port    uint16            `json:"port"`
		Headers map[string]string `json:"headers"`
	} `json:"request"`
	Expect outcome `json:"expect"`
}

// outcome is the part of an explanation that the cases speak of.
type outcome struct {
	Error     string             `json:"error,omitempty"`
	Status    int                `json:"status,omitempty"`
	Location  string             `json:"location,omitempty"`
	Body      string             `json:"body,omitempty"`
	Route     string             `json:"route,omitempty"`
	Clusters  map[string]float64 `json:"clusters,omitempty"`
	Path      string             `json:"path,omitempty"`
	Authority string             `json:"authority,omitempty"`
	Timeout   string             `json:"timeout,omitempty"`
}

// writeManifest returns a file that holds text.
func writeManifest(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "case.yaml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// relative makes weights comparable: only their proportion counts.
func (o outcome) relative() outcome {
	var sum float64
	for _, w := range o.Clusters {
		sum += w
	}
	if sum > 0 {
		o.Clusters = maps.Clone(o.Clusters)
		for name := range o.Clusters {
			o.Clusters[name] = float64(int(o.Clusters[name]/sum*1e6+0.5)) / 1e6
		}
	}
	return o
}

func readCases(t *testing.T, name string) []routingCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "istio", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var cases []routingCase
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// arguments are what a person would type for a call, without the source of the
// configuration. URL and Host header differ so that both are used.
func (c routingCall) arguments() []string {
	args := []string{"-o", "json", "-X", c.Request.Method, "--port", strconv.Itoa(int(c.Request.Port)),
		"http://127.0.0.1" + c.Request.Path, "-H", "Host: " + c.Request.Host}
	for _, name := range slices.Sorted(maps.Keys(c.Request.Headers)) {
		args = append(args, "-H", name+": "+c.Request.Headers[name])
	}
	return args
}

// check compares what was printed with what Istio does.
func (c routingCall) check(t *testing.T, label string, printed []byte) {
	t.Helper()
	var got outcome
	if err := json.Unmarshal(printed, &got); err != nil {
		t.Fatalf("%s: %v\n%s", label, err, printed)
	}
	if want := c.Expect.relative(); !reflect.DeepEqual(got.relative(), want) {
		t.Errorf("%s\n got %+v\nwant %+v", label, got.relative(), want)
	}
}

// TestExplainAgreesWithIstio puts every call of the cases through what the command does
// with its arguments, the configuration read once for each case.
func TestExplainAgreesWithIstio(t *testing.T) {
	t.Parallel()
	for _, file := range caseFiles {
		t.Run(file.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			for _, c := range readCases(t, file.name) {
				src, err := readSource([]string{writeManifest(t, c.Config)})
				if err != nil {
					t.Fatal(err)
				}
				view, err := file.flags.view()
				if err != nil {
					t.Fatal(err)
				}
				state := src.state(view)
				for i, q := range c.Calls {
					calls++
					var headers []string
					for name, value := range q.Request.Headers {
						headers = append(headers, name+": "+value)
					}
					headers = append(headers, "Host: "+q.Request.Host)
					asked, err := parseCall(q.Request.Method, "http://127.0.0.1"+q.Request.Path, headers, q.Request.Port, state.sidecar)
					if err != nil {
						t.Fatal(err)
					}
					printed, err := json.Marshal(explain(state, asked))
					if err != nil {
						t.Fatal(err)
					}
					q.check(t, fmt.Sprintf("%s call %d %+v", c.Name, i, q.Request), printed)
				}
			}
			if calls < file.calls {
				t.Errorf("only %d calls, want %d: the cases are not all there", calls, file.calls)
			}
		})
	}
}

var caseFiles = []struct {
	name  string
	calls int
	flags sourceFlags
	args  []string
}{
	{"istio-routing.yaml", 2100, sourceFlags{}, nil},
	{"istio-mesh-routing.yaml", 1900, sourceFlags{workloadLabels: labels{"app": "client", "version": "v1"}},
		[]string{"--workload-labels", "app=client,version=v1", "--namespace", "default"}},
}

// TestBinaryExplains runs a dozen calls through the built command.
func TestBinaryExplains(t *testing.T) {
	t.Parallel()
	sluice := builtBinary(t)
	for _, file := range caseFiles {
		cases := readCases(t, file.name)
		for i := range 6 {
			c := cases[i*len(cases)/6]
			q := c.Calls[i%len(c.Calls)]
			args := append([]string{"explain", "--config", writeManifest(t, c.Config)}, file.args...)
			cmd := exec.CommandContext(t.Context(), sluice, append(args, q.arguments()...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			printed, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v\n%s", c.Name, err, stderr.String())
			}
			q.check(t, fmt.Sprintf("%s %q", c.Name, cmd.Args), printed)
		}
	}
}

// validationCase is a spec and what Istio's validator thinks of it.
type validationCase struct {
	Kind    string `json:"kind"`
	Spec    string `json:"spec"`
	Verdict string `json:"verdict"`
}

// served are the kinds that the compiler reads so far.
var served = []string{"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "Sidecar"}

func readValidationCases(t *testing.T) []validationCase {
	t.Helper()
	text, err := os.ReadFile("../../config/istio/validate/testdata/istio-validation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []validationCase
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	cases = slices.DeleteFunc(cases, func(c validationCase) bool { return !slices.Contains(served, c.Kind) })
	if len(cases) < 340 {
		t.Fatalf("only %d cases: they are not all there", len(cases))
	}
	return cases
}

func (c validationCase) manifest() string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: x, namespace: default}\nspec: %s\n", c.Kind, c.Spec)
}

// check holds a verdict against exit status and counts.
func (c validationCase) check(t *testing.T, status int, printed []byte) {
	t.Helper()
	var v validation
	if err := json.Unmarshal(printed, &v); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	agree := false
	switch c.Verdict {
	case "ok":
		agree = v.Errors == 0 && status == exitOK
	case "warning":
		agree = v.Errors == 0 && v.Warnings > 0 && status == exitOK
	case "invalid":
		agree = v.Errors > 0 && status == exitFailed
	}
	if !agree {
		t.Errorf("want %s, exited %d: %s %s\n%s", c.Verdict, status, c.Kind, c.Spec, printed)
	}
}

func TestValidateAgreesWithIstio(t *testing.T) {
	t.Parallel()
	for _, c := range readValidationCases(t) {
		status, printed, _ := invoke("validate", "-o", "json", writeManifest(t, c.manifest()))
		c.check(t, status, []byte(printed))
	}
}

// TestBinaryValidates runs a dozen specs through the built command.
func TestBinaryValidates(t *testing.T) {
	t.Parallel()
	sluice := builtBinary(t)
	cases := readValidationCases(t)
	for i := range 12 {
		c := cases[i*len(cases)/12]
		cmd := exec.CommandContext(t.Context(), sluice, "validate", "-o", "json", "-f", "-")
		cmd.Stdin = strings.NewReader(c.manifest())
		printed, _ := cmd.Output()
		c.check(t, cmd.ProcessState.ExitCode(), printed)
	}
}

// builtIn is the folder of the built command, for TestMain to remove.
var builtIn string

var buildBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// builtBinary returns the command as people run it, built once for all tests.
func builtBinary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the command")
	}
	path, err := buildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	status := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}
