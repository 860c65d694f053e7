package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/role"
)

// liveGateway is a real gateway that serves a folder, and knows when it has read a change.
type liveGateway struct {
	status chan role.Status
	// listener and admin are addresses.
	listener, admin string
	generation      uint64
	// failed counts the requests that were answered with an error.
	failed int
}

// startLiveGateway runs a gateway on the folder until the test ends.
func startLiveGateway(t *testing.T, folder string) *liveGateway {
	t.Helper()
	g := &liveGateway{status: make(chan role.Status, 100)}
	view := istio.Options{Role: istio.Gateway, Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, gateway.Options{
			Source: start.Files([]string{folder}), NewCompiler: start.Istio(view), Labels: view.Labels, Namespace: view.Namespace, Config: []string{folder},
			Address: netip.MustParseAddr("127.0.0.1"), PortMap: map[uint16]uint16{80: 0}, Admin: "127.0.0.1:0", Drain: -1,
			Logger: slog.New(slog.DiscardHandler), Notify: func(s role.Status) { g.status <- s },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	g.await(t, 1)
	return g
}

// await returns once a generation of the configuration is served.
func (g *liveGateway) await(t *testing.T, generation uint64) {
	t.Helper()
	for timeout := time.After(20 * time.Second); ; {
		select {
		case s := <-g.status:
			if g.admin = s.Admin; s.NotReady == nil && s.Generation >= generation {
				g.listener, g.generation = s.Listeners[0].Address, s.Generation
				return
			}
		case <-timeout:
			t.Fatal("the gateway does not serve the configuration")
		}
	}
}

// TestWhyDocument runs what docs/why.md shows against a real gateway.
func TestWhyDocument(t *testing.T) {
	name, err := filepath.Abs("../../docs/why.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	cart := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "cart\n") }))
	defer cart.Close()
	_, cartPort, _ := strings.Cut(strings.TrimPrefix(cart.URL, "http://"), ":")
	manifest := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)[1]
	if err := errors.Join(os.Mkdir("config", 0o755), os.WriteFile("config/shop.yaml", bytes.ReplaceAll(manifest, []byte("9080"), []byte(cartPort)), 0o644)); err != nil {
		t.Fatal(err)
	}
	g := startLiveGateway(t, "config")
	ran := 0
	rewritten := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		var out strings.Builder
		for _, c := range parseConsole(block) {
			ran++
			got := settled(g.run(t, c.line), cartPort)
			if !*update && got != c.output {
				t.Errorf("%s\n%s(go test ./cmd/sluice -run TestWhyDocument -update rewrites it)", c.line, firstDifference(got, c.output))
			}
			c.output = got
			out.WriteString(c.String())
		}
		return "```console\n" + out.String() + "```"
	})
	if ran != 7 {
		t.Errorf("%d commands ran", ran)
	}
	if *update {
		if err := os.WriteFile(name, []byte(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command of the document, with the addresses that there are.
func (g *liveGateway) run(t *testing.T, line string) string {
	t.Helper()
	words := shellWords(line)
	switch words[0] {
	case "curl":
		return g.curl(t, words)
	case "sed":
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		g.await(t, g.generation+1)
		return ""
	}
	if words[1] == "why" {
		words = append(words, "--admin", g.admin)
	}
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], defaultAdmin, g.admin)
	}
	status, out, stderr := invoke(words[1:]...)
	if status != exitOK {
		t.Errorf("%s: exited %d: %s", line, status, stderr)
	}
	return out
}

// curl sends the request of a curl command, and prints the status.
func (g *liveGateway) curl(t *testing.T, words []string) string {
	t.Helper()
	r, err := http.NewRequest("GET", strings.ReplaceAll(words[len(words)-1], "127.0.0.1:8080", g.listener), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, word := range words {
		if word == "-H" {
			r.Host = strings.TrimPrefix(words[i+1], "Host: ")
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		g.failed++
		g.remembers(t, g.failed)
	}
	return fmt.Sprintln(resp.StatusCode)
}

// settled replaces what differs from run to run.
func settled(out, cartPort string) string {
	out = strings.ReplaceAll(out, ":"+cartPort, ":9080")
	for pattern, with := range map[string]string{
		`at \d\d:\d\d:\d\d`:                         "at 14:03:05",
		`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`: "7c2ad5a1-8c1f-4be2-a0f5-6e0bb3b7ae10",
		`(?m)^(Client +127\.0\.0\.1):\d+`:           "$1:52814",
		`(?m)^(Took +)\S+$`:                         "${1}140µs",
	} {
		out = regexp.MustCompile(pattern).ReplaceAllString(out, with)
	}
	return out
}
