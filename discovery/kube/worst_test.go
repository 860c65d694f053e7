package kube

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
)

// until waits for what no delta tells of.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

// TestKindOfKubernetesMissing: a kind that every Kubernetes should have, and this one has not, keeps
// the others from nothing.
func TestKindOfKubernetesMissing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.set("ingresses", "shop/web", "", `"spec":{}`)
	f.lose("/apis/networking.k8s.io/v1/ingresses", true)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	w.wantsReasons(ReasonKindMissing)
	f.lose("/apis/networking.k8s.io/v1/ingresses", false)
	w.wants(strings.ReplaceAll(bookinfoNames, ", Pod edge", ", Ingress shop/web, Pod edge"))
	w.wantsReasons()
}

// TestKindLostForAMoment: that a kind whose objects are known is not there any more is not believed
// at once: it may be an API server that starts, or a proxy before it that has lost it.
func TestKindLostForAMoment(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := followAs(t, bookinfoOptions(f), func(c *Cluster) { c.absence = time.Hour })
	w.wants(bookinfoNames)
	f.install("virtualservices")
	f.lose("/api/v1/services", true)
	f.expire()
	w.wantsReasons(ReasonAPIServerAway)
	until(t, "more questions", func() bool { return f.requests("/api/v1/services") > 5 })
	f.install("virtualservices", istioVersions...)
	f.lose("/api/v1/services", false)
	w.wantsReasons()
	if n := w.losses(); n != 0 {
		t.Errorf("%d objects were lost", n)
	}
}

// TestRefusedAtFirst: an API server that has just started refuses everybody everything until it
// knows the roles (measured: for 15 to 100 ms). What is served then is not nothing.
func TestRefusedAtFirst(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.failing.Store(403)
	w := followAs(t, bookinfoOptions(f), func(c *Cluster) { c.refusal = time.Hour })
	until(t, "refusals", func() bool { return f.failed.Load() > 20 })
	f.failing.Store(0)
	w.wants(bookinfoNames)
	w.wantsReasons()
	if n := w.told(); n != 1 {
		t.Errorf("it came in %d deltas", n)
	}
}

// TestSnapshotOfWhatIsRefused: a start that may read nothing serves what was served before, as a
// process that has lost its rights does; and the snapshot stays whole.
func TestSnapshotOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	f, o, names := withSnapshot(t)
	w := follow(t, o)
	w.wants(names)
	w.stop()
	f.failing.Store(403)
	w = follow(t, o)
	w.wants(names)
	w.wantsReasons(ReasonSnapshot, ReasonForbidden)
	w.stop()
	if kept, _, err := readSnapshot(o.Snapshot); err != nil || len(kept) != 7 {
		t.Errorf("the snapshot has %d objects, %v", len(kept), err)
	}
	f.failing.Store(0)
	f.deny("gateways", true)
	f.delete("virtualservices", "shop/web", true)
	w = follow(t, o)
	w.wants(strings.ReplaceAll(names, ", VirtualService shop/web", ""))
	f.deny("gateways", false)
	f.delete("gateways", "edge/web", true)
	w.wants(strings.ReplaceAll(strings.ReplaceAll(names, ", VirtualService shop/web", ""), "Gateway edge/web, ", ""))
	w.wantsReasons()
}

// TestSnapshotOfOthers: what a snapshot has of namespaces that are not read any more, and Secrets that
// nobody wants any more, would never be told to go: it does not come.
func TestSnapshotOfOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snapshot")
	var old []*config.Object
	for _, key := range []config.Key{
		{Group: istioNetworking, Kind: "VirtualService", Namespace: "shop", Name: "web"},
		{Group: istioNetworking, Kind: "VirtualService", Namespace: "elsewhere", Name: "web"},
		{Group: istioNetworking, Kind: "Gateway", Namespace: "edge", Name: "web"},
		{Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"},
		{Kind: "Secret", Namespace: "shop", Name: "cert"},
		{Kind: "Secret", Namespace: "shop", Name: "old"},
		{Kind: "Pod", Namespace: "shop", Name: "web-1"},
		{Kind: "Pod", Namespace: "elsewhere", Name: "web-1"},
		{Kind: "Pod", Namespace: "edge", Name: "gw-1"},
	} {
		old = append(old, &config.Object{Key: key, Version: "v1", Source: config.Plain("{}")})
	}
	must(t, writeSnapshot(path, time.Now(), old))
	f := newFake(t)
	f.stop()
	o := f.options()
	o.Namespace, o.Namespaces, o.Snapshot = "edge", []string{"shop"}, path
	o.Wants = func(config.Delta) config.Wants {
		return config.Wants{PodLabels: []string{"shop"}, Secrets: []config.Key{{Kind: "Secret", Namespace: "shop", Name: "cert"}}}
	}
	w := follow(t, o)
	w.wants("Gateway edge/web, Pod edge/gw-1, Pod shop/web-1, Secret shop/cert, VirtualService shop/web")
}

// TestShortWatches: an API server, or a proxy before it, that ends each watch at once is not asked
// for everything again without a pause.
func TestShortWatches(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.short.Store(true)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	began := time.Now()
	const path = "/api/v1/services"
	first := f.requests(path)
	// Each round is a list and a watch; the pauses are 250, 500 and 1000 ms at least.
	until(t, "three lists more", func() bool { return f.requests(path) >= first+6 })
	if took := time.Since(began); took < 1200*time.Millisecond {
		t.Errorf("it was listed three times more in %v", took)
	}
	f.set("services", "shop/late", "", `"spec":{}`)
	w.wants(strings.ReplaceAll(bookinfoNames, " Service shop/web", " Service shop/late, Service shop/web"))
}

// TestManyNamespacesJoin: everything is listed anew for all of them, not for each.
func TestManyNamespacesJoin(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("namespaces", "edge", "", "")
	o := f.options()
	o.Namespace, o.Selector = "edge", "env=prod"
	w := follow(t, o)
	w.wants("")
	until(t, "a first Delta", func() bool { return w.told() > 0 })
	f.awaitWatch("/api/v1/namespaces ")
	const path = "/api/v1/services"
	before := f.requests(path)
	var names []string
	for i := range 40 {
		ns := fmt.Sprintf("shop-%02d", i)
		f.set("services", ns+"/web", "", `"spec":{}`)
		f.set("namespaces", ns, `{"labels":{"env":"prod"}}`, "")
		names = append(names, "Service "+ns+"/web")
		// They come one after the other, as when a cluster is filled.
		until(t, "the namespace", func() bool { chosen := w.cluster.selected.Load(); return (*chosen)[ns] })
	}
	w.wants(strings.Join(names, ", "))
	// A round is a list and a watch.
	if n := f.requests(path) - before; n > 10 {
		t.Errorf("services were asked for %d times", n)
	}
}

// TestWatchAtRest: a watch that has nothing to tell holds little memory: of Secrets there is one
// each.
func TestWatchAtRest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	c, err := New(Options{REST: &rest.Config{Host: "http://" + f.address}, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	text := `{"type":"BOOKMARK","object":{"kind":"Secret","apiVersion":"v1","metadata":{"resourceVersion":"7"}}}` + "\n"
	l := &listerWatcher{api: c.api, resource: secret, version: "v1"}
	d := l.decoder(io.NopCloser(strings.NewReader(text)))
	if _, _, err := d.Decode(); err != nil {
		t.Fatal(err)
	}
	if n := cap(d.events.buf); n > 4<<10 {
		t.Errorf("it holds %d bytes", n)
	}
}

// TestNotBackInTime: of several API servers one may lag behind. After trouble, what is listed must be
// no older than what is known, or what has changed since would come back.
func TestNotBackInTime(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	before := f.failed.Load()
	f.failing.Store(503)
	f.expire()
	until(t, "trouble", func() bool { return f.failed.Load() > before+20 && len(w.cluster.conditions()) > 0 })
	f.failing.Store(0)
	w.wantsReasons()
	f.mu.Lock()
	defer f.mu.Unlock()
	for resource, from := range f.listedFrom {
		if from == "0" || from == "" {
			t.Errorf("%s were listed from %q", resource, from)
		}
	}
}

// TestSnapshotKeepsItsAge: a start from a snapshot does not make it any younger for the next one.
func TestSnapshotKeepsItsAge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snapshot")
	taken := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, writeSnapshot(path, taken, []*config.Object{
		{Key: config.Key{Group: istioNetworking, Kind: "Gateway", Namespace: "edge", Name: "web"}, Version: "v1", Source: config.Plain("{}")},
	}))
	f := newFake(t)
	f.stop()
	o := f.options()
	o.Namespace, o.Snapshot = "edge", path
	for range 2 {
		w := follow(t, o)
		w.wants("Gateway edge/web")
		if c := w.wantsReasons(ReasonSnapshot, ReasonAPIServerAway); !strings.Contains(c[0].Message, "written at 2026-01-02T03:04:05Z") {
			t.Errorf("got %v", c[0])
		}
		w.stop()
	}
}

// TestSnapshotWithoutNeed: where a kind may not be read of which the snapshot has nothing, it is not
// served, and nobody is told that it were.
func TestSnapshotWithoutNeed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.deny("ingresses", true)
	o := bookinfoOptions(f)
	o.Snapshot = filepath.Join(t.TempDir(), "snapshot")
	for range 2 {
		w := follow(t, o)
		w.wants(bookinfoNames)
		w.wantsReasons(ReasonForbidden)
		w.stop()
	}
}

// TestSnapshotLeftovers: what a process that was killed left of a snapshot half written, with its
// Secrets, goes; what another may be writing stays.
func TestSnapshotLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "snapshot")
	for name, age := range map[string]time.Duration{".snapshot.1": time.Hour, ".snapshot.2": 0, ".other.1": time.Hour, "snapshot.1": time.Hour} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte("x"), 0o600))
		must(t, os.Chtimes(file, time.Time{}, time.Now().Add(-age)))
	}
	must(t, writeSnapshot(path, time.Now(), nil))
	c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid"}, Snapshot: path, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c.keepSnapshot(ctx)
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ".other.1 .snapshot.2 snapshot snapshot.1" {
		t.Errorf("there is %s", got)
	}
}
