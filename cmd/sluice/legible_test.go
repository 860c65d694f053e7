package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Configuration that somebody else wrote, and what a client sent, is shown without what a terminal
// would take for commands, a line to a line.
func TestLegible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hostile := `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: "a\nb\nc", namespace: default}
spec:
  hosts: ["x.example.com"]
  http: [{route: [{destination: {host: "nowhere\u009b31m"}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: "red\e[31m\u202e", namespace: default}
spec:
  hosts: ["y.example.com"]
  "more\n\e]0;title\a": 1
  http: [{route: [{destination: {host: b.example.com}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: "b", namespace: default}
spec: {hosts: [b.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: "g\e[31m", namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`
	if err := os.WriteFile(filepath.Join(dir, "x\ny.yaml"), []byte(hostile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"validate", dir},
		{"explain", "-c", dir, "http://y.example.com/"},
		{"explain", "-c", dir, "http://y.example.com/%C2%9B31m"},
		{"proxy-config", "routes", "-c", dir},
		{"proxy-config", "listeners", "-c", dir},
		{"proxy-config", "clusters", "-c", dir},
	} {
		status, stdout, stderr := invoke(args...)
		if status == exitMisuse {
			t.Errorf("%v: %s", args, stderr)
		}
		for _, r := range stdout {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Errorf("%v: %q in\n%s", args, r, stdout)
			}
		}
		if args[0] == "validate" && !strings.Contains(stdout, `a\nb\nc`) {
			t.Errorf("%v: the name is not told:\n%s", args, stdout)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"plain größer": "plain größer",
		"a\nb\tc":      `a\nb\tc`,
		"\x1b[31m":     `\x1b[31m`,
		"\u009b1m":     `\u009b1m`,
		"\u202eevil":   `\u202eevil`,
		"\xff":         `\xff`,
	} {
		if got := visible(s); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
	var b bytes.Buffer
	w := legibleWriter{&b, true}
	if n, err := w.Write([]byte("\x1b[31mred\x1b[0m\n\x1b[2J\x1b]0;x\a")); err != nil || n != 23 {
		t.Errorf("%d, %v", n, err)
	}
	if want := "\x1b[31mred\x1b[0m\n" + `\x1b[2J\x1b]0;x\a`; b.String() != want {
		t.Errorf("%q", b.String())
	}
}

// full is a file on a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What could not be written is not done.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"validate", "testdata/shop/gateway.yaml"},
		{"explain", "-c", "testdata/shop", "http://shop.example.com/"},
		{"proxy-config", "routes", "-c", "testdata/shop"},
		{"manifest", "generate"}, {"profile", "list"}, {"version"}, {"--help"},
	} {
		var errs bytes.Buffer
		if status := run(args, full{}, &errs); status != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: exited %d\n%s", args, status, errs.String())
		}
	}
}
