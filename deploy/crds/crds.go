// Package crds holds the CustomResourceDefinitions of Istio's API, which an API server needs
// before it takes a Gateway or a VirtualService.
//
// They are those of the module istio.io/api that go.mod names, and no copy of them is kept
// in this repository: make build puts the module's file into the folder generated, which is
// embedded, and git ignores it. A program that was built without that step, by go run or
// go test, reads the file where Go has unpacked the module.
package crds

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"

	"sigs.k8s.io/yaml"
)

// The folder is never empty: it has a .gitignore.
//
//go:embed all:generated
var generated embed.FS

const module = "istio.io/api"

// Istio returns the definitions as YAML documents.
func Istio() (string, error) {
	version := version()
	// The name tells the version: a file that an older build left behind is not taken.
	if text, err := generated.ReadFile("generated/istio-api-" + version + ".yaml"); err == nil {
		return string(text), nil
	}
	text, err := unpacked(version)
	if err != nil {
		return "", fmt.Errorf("this program was built without Istio's CustomResourceDefinitions (make build puts them in): %w", err)
	}
	return text, nil
}

// Objects returns the definitions one by one.
func Objects() (list []map[string]any, err error) {
	text, err := Istio()
	if err != nil {
		return nil, err
	}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, err
		}
		if len(o) > 0 {
			list = append(list, o)
		}
	}
	return list, nil
}

// version returns that of the module, as the program was built with it; empty where the
// program does not know, as those of go test do not.
func version() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module && m.Replace != nil {
			return m.Replace.Version
		} else if m.Path == module {
			return m.Version
		}
	}
	return ""
}

// unpacked reads the file from Go's module cache; without a version, that of the module in
// which the program runs.
func unpacked(version string) (string, error) {
	dir, err := ask("env", "GOMODCACHE")
	if dir = filepath.Join(dir, filepath.FromSlash(module)+"@"+version); version == "" {
		dir, err = ask("list", "-m", "-f", "{{.Dir}}", module)
	}
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "kubernetes", "customresourcedefinitions.gen.yaml"))
	return string(text), err
}

// ask runs the go command.
func ask(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
