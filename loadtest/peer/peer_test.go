package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/backend"
	"github.com/sluicegate/sluice/loadtest/measure"
	"github.com/sluicegate/sluice/loadtest/work"
)

// cache has the programs that were built; it is one for all tests.
var cache = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "loadtest-peer-")
	if err != nil {
		panic(err)
	}
	return dir
})

// TestMain lets the test binary be the relay, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == work.Relay {
		fmt.Fprintln(os.Stderr, backend.RelayMain(os.Args[2:]))
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(cache())
	os.Exit(status)
}

// sites are small ones of every kind.
var sites = []struct {
	name string
	site work.Site
}{
	{"plain", work.Site{Body: 1024, Metrics: true}},
	{"quiet", work.Site{Body: 1024}},
	{"large", work.Site{Body: 3 << 20, Metrics: true}},
	{"tls", work.Site{Body: 1024, TLS: true, Metrics: true}},
	{"http2", work.Site{Body: 1024, TLS: true, HTTP2: true, Metrics: true}},
	{"grpc", work.Site{Body: 100, TLS: true, HTTP2: true, Upstream: work.UpstreamGRPC, Metrics: true}},
	{"websocket", work.Site{Body: 100, Upgrades: true, Metrics: true}},
	{"tcp", work.Site{Body: 100, Upstream: work.UpstreamTCP, Metrics: true}},
	{"hosts", work.Site{Body: 1024, Hosts: 120, RoutesPerHost: 3, Metrics: true}},
	{"routes", work.Site{Body: 1024, Prefixes: 20, Regexes: 10, Metrics: true}},
	{"weights", work.Site{Body: 1024, Weights: []int{70, 20, 10}, Metrics: true}},
	{"access-log", work.Site{Body: 1024, AccessLog: true, Metrics: true}},
}

// without are the sites that a peer cannot serve.
var without = map[string][]string{"caddy": {"tcp"}}

// TestPeers has every peer that is there serve every kind of site: Start fails where one does
// not do what the others do.
func TestPeers(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			prepare(t, name)
			for _, s := range sites {
				if slices.Contains(without[name], s.name) {
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					r := start(t, name, s.site)
					if len(r.PIDs) == 0 || r.Version == "" || r.Loaded <= 0 || (r.AccessLog != "") != s.site.AccessLog {
						t.Errorf("%+v", r)
					}
				})
			}
		})
	}
}

// prepare skips a test whose peer is not there.
func prepare(t *testing.T, name string) {
	t.Helper()
	must := name == "sluice" || os.Getenv("CI") == "true" && (name == "nginx" || name == "haproxy")
	if !must && os.Getenv("SLUICE_LOADTEST_CACHE") == "" && (name == "caddy" || name == "traefik") {
		t.Skipf("building %s takes minutes; SLUICE_LOADTEST_CACHE names a folder where it is, or goes", name)
	}
	ready, missing := Prepare(t.Context(), []string{name}, folder(name), os.Stderr)
	switch err := missing[name]; {
	case err != nil && must:
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	case ready[name] == "":
		t.Fatal("it has no version")
	}
}

// folder is the cache for a peer.
func folder(name string) string {
	if dir := os.Getenv("SLUICE_LOADTEST_CACHE"); dir != "" && name != "sluice" {
		return dir
	}
	return cache()
}

func start(t *testing.T, name string, site work.Site) *Running {
	t.Helper()
	return startFor(t, name, site, 0)
}

// startFor starts a peer that is ready for so many connections.
func startFor(t *testing.T, name string, site work.Site, connections int) *Running {
	t.Helper()
	if site.Upstream == work.UpstreamTCP && name == "nginx" && (&instance{}).StreamModule() == "" && os.Getenv("CI") != "true" {
		t.Skip("nginx has no module for TCP (libnginx-mod-stream)")
	}
	addrs, stop, err := backend.Start(t.Context(), site, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	site.Backends = addrs
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r, err := Start(ctx, name, site, Options{Dir: t.TempDir(), Cache: folder(name), Connections: connections})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// TestReload has every peer follow two changes.
func TestReload(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			prepare(t, name)
			site := work.Site{Body: 1024, Hosts: 150, RoutesPerHost: 2, Metrics: true}
			r := start(t, name, site)
			for range 2 {
				took, err := r.Reload(t.Context(), site)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %v", name, took)
				if len(r.PIDs) == 0 {
					t.Error("no processes are left")
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Reload(ctx, site); !errors.Is(err, context.Canceled) {
				t.Errorf("a change that is not waited for: %v", err)
			}
		})
	}
}

// TestMany has the peers of the work with idle connections start for that, and no memory filled for
// connections that a work does not have: nginx's figure was three times what its users see.
func TestMany(t *testing.T) {
	for _, name := range []string{"sluice", "nginx", "haproxy"} {
		t.Run(name, func(t *testing.T) {
			prepare(t, name)
			site := work.Site{Body: 1024, Metrics: true}
			var resident [2]int64
			for i, connections := range []int{64, 10000} {
				r := startFor(t, name, site, connections)
				var err error
				if resident[i], err = measure.Resident(r.PIDs); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("ready for 64 connections: %d KB, for 10,000: %d KB", resident[0]>>10, resident[1]>>10)
			if name == "nginx" && resident[1]-resident[0] < 4<<20 {
				t.Errorf("ready for 64 connections it holds %d bytes, for 10,000 %d", resident[0], resident[1])
			}
		})
	}
}

// TestSidecars has a pair of sidecars, and none, serve one host.
func TestSidecars(t *testing.T) {
	prepare(t, "sluice")
	site := work.Site{Body: 1024, Sidecars: true, Metrics: true}
	if r := start(t, "sluice", site); len(r.PIDs) != 2 {
		t.Errorf("the processes are %v, not two", r.PIDs)
	}
	if r := start(t, "direct", site); len(r.PIDs) != 0 {
		t.Errorf("without a proxy there are the processes %v", r.PIDs)
	}
}

// TestRelay has the relay, which knows no routes, pass requests on as they are.
func TestRelay(t *testing.T) {
	r := start(t, work.Relay, work.Site{Body: 1024})
	if len(r.PIDs) != 1 {
		t.Errorf("the processes are %v, not one", r.PIDs)
	}
	if _, err := Start(t.Context(), work.Relay, work.Site{Body: 1024, TLS: true, Backends: []string{"127.0.0.1:1"}}, Options{Dir: t.TempDir()}); err == nil {
		t.Error("it says to serve inside TLS")
	}
}

// TestExplain has a failure show what the proxy says.
func TestExplain(t *testing.T) {
	prepare(t, "sluice")
	site := work.Site{Body: 1024, Backends: []string{"127.0.0.1:1"}}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// It never serves; its start is given up once it has said something.
	go func() {
		for ctx.Err() == nil && !saysSomething(dir) {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	_, err := Start(ctx, "sluice", site, Options{Dir: dir, Cache: folder("sluice")})
	if err == nil || !strings.Contains(err.Error(), "it says") {
		t.Errorf("a gateway without a backend: %v", err)
	}
}

// saysSomething tells whether a process of a folder has written to its standard error.
func saysSomething(dir string) bool {
	said, _ := filepath.Glob(filepath.Join(dir, "*.stderr"))
	return slices.ContainsFunc(said, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.Size() > 0
	})
}

// TestUnknown has mistakes in the call named.
func TestUnknown(t *testing.T) {
	if _, missing := Prepare(t.Context(), []string{"apache"}, t.TempDir(), os.Stderr); missing["apache"] == nil {
		t.Error("an unknown peer is prepared")
	}
	if _, err := Start(t.Context(), "nginx", work.Site{}, Options{Dir: t.TempDir()}); err == nil {
		t.Error("a site without backends is served")
	}
}
