package kube

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
)

// log is a log that can be read while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestMissingKinds: what is installed is served, the rest is picked up when it is installed, in
// the best version that there is, and goes with its definition.
func TestMissingKinds(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for _, r := range istioResources {
		f.install(r)
	}
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants("EndpointSlice shop/web-1, Pod edge/gw-1, Pod shop/web-1, Service shop/web")
	c := w.wantsReasons(ReasonKindMissing)
	if !strings.Contains(c[0].Message, "destinationrules.networking.istio.io, gateways.networking.istio.io") || !strings.Contains(c[0].Message, "kubectl apply") {
		t.Errorf("got %v", c[0])
	}
	for _, r := range istioResources {
		f.install(r, "v1alpha3", "v1beta1")
	}
	w.wants(bookinfoNames)
	w.wantsReasons()
	if v := w.object("Gateway", "edge", "web").Version; v != "v1beta1" {
		t.Errorf("the Gateway was read as %s", v)
	}
	f.install("gateways")
	f.expire()
	w.wants(strings.ReplaceAll(bookinfoNames, "Gateway edge/web, ", ""))
	w.wantsReasons(ReasonKindMissing)
}

// TestForbidden: what may be read is served; what may not is told with the command that mends
// it, and is picked up when it may. A right that is taken away takes no objects along.
func TestForbidden(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.deny("services", true)
	f.deny("gateways", true)
	w := follow(t, bookinfoOptions(f))
	w.wants("EndpointSlice shop/web-1, Pod edge/gw-1, Pod shop/web-1, VirtualService shop/web")
	c := w.wantsReasons(ReasonForbidden)[0]
	want := "system:serviceaccount:edge:gw may not list and watch gateways.networking.istio.io, services (403). To allow it: " +
		"kubectl create clusterrole sluice-gateway-read --verb=get,list,watch --resource=gateways.networking.istio.io,services && " +
		"kubectl create clusterrolebinding sluice-gateway-read --clusterrole=sluice-gateway-read --serviceaccount=edge:gw"
	if c.Message != want || c.Severity != config.Error {
		t.Errorf("got  %s\nwant %s", c.Message, want)
	}
	f.deny("services", false)
	f.deny("gateways", false)
	w.wants(bookinfoNames)
	w.wantsReasons()
	f.deny("services", true)
	f.expire()
	w.wantsReasons(ReasonForbidden)
	if w.losses() != 0 {
		t.Error("a right that was taken away took objects along")
	}
}

// TestAway: while the API server is away nothing changes, and all is told once; when it is
// back, what went in the meantime goes.
func TestAway(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	f.stop()
	c := w.wantsReasons(ReasonAPIServerAway)[0]
	// Its watches were cut, and lists are refused; which of them comes last is open.
	if !strings.Contains(c.Message, "refused") && !strings.Contains(c.Message, "reset by peer") {
		t.Errorf("got %v", c)
	}
	if s := w.cluster.Status(); s.AwaySince.IsZero() || s.Synced {
		t.Errorf("the status is %+v", s)
	}
	if got := metric(t, w.cluster, "sluice_kubernetes_synced"); got != 0 {
		t.Errorf("the metric says that all is followed: %v", got)
	}
	f.delete("gateways", "edge/web", true)
	f.set("services", "shop/new", "", `"spec":{}`)
	f.expire()
	f.start()
	w.wants(strings.ReplaceAll(strings.ReplaceAll(bookinfoNames, "Gateway edge/web, ", ""), " Service shop/web", " Service shop/new, Service shop/web"))
	w.wantsReasons()
	if got := metric(t, w.cluster, "sluice_kubernetes_synced"); got != 1 {
		t.Errorf("the metric says that not all is followed: %v", got)
	}
	if s := w.cluster.Status(); !s.AwaySince.IsZero() || !s.Synced || w.losses() != 1 {
		t.Errorf("the status is %+v, %d removed", s, w.losses())
	}
}

// metric returns the value of a metric.
func metric(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// TestErrors: an API server in trouble, or that does not know us, changes nothing.
func TestErrors(t *testing.T) {
	t.Parallel()
	for code, says := range map[int32]string{500: "in trouble", 503: "in trouble", 429: "429", 401: "Unauthorized"} {
		f := newFake(t)
		bookinfo(f)
		w := follow(t, bookinfoOptions(f))
		w.wants(bookinfoNames)
		f.failing.Store(code)
		f.expire()
		if c := w.wantsReasons(ReasonAPIServerAway)[0]; !strings.Contains(c.Message, says) {
			t.Errorf("%d: got %v", code, c)
		}
		f.failing.Store(0)
		w.wantsReasons()
		if n := w.losses(); n != 0 {
			t.Errorf("%d: %d objects were removed", code, n)
		}
	}
}

// TestBrokenSecret: the trouble with a Secret ends when nobody wants that any more.
func TestBrokenSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.broken["/api/v1/namespaces/edge/secrets/cert"] = true
	o := bookinfoOptions(f)
	named := config.Wants{PodLabels: []string{""}, Secrets: []config.Key{{Kind: "Secret", Namespace: "edge", Name: "cert"}}}
	o.Wants = func(d config.Delta) config.Wants {
		for _, object := range d.Set {
			if object.Labels["secret"] == "no" {
				named.Secrets = nil
			}
		}
		return named
	}
	w := follow(t, o)
	w.wants(bookinfoNames)
	w.wantsReasons(ReasonAPIServerAway)
	f.set("gateways", "edge/web", `{"labels":{"secret":"no"}}`, `"spec":{}`)
	w.wantsReasons()
	if s := w.cluster.Status(); !s.Synced || !s.AwaySince.IsZero() {
		t.Errorf("the status is %+v", s)
	}
}

// TestNoAnswerAtFirst: nothing is handed on until the API server answers, and the log says so
// once.
func TestNoAnswerAtFirst(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.stop()
	l := &log{}
	o := bookinfoOptions(f)
	o.Logger = l.logger()
	w := follow(t, o)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(l.String(), "waiting for the Kubernetes API server"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say it: %s", l)
		}
	}
	f.start()
	w.wants(bookinfoNames)
	if w.told() != 1 || strings.Count(l.String(), "waiting") != 1 || !strings.Contains(l.String(), f.address) {
		t.Errorf("%d deltas; the log is %s", w.told(), l)
	}
}

// withSnapshot returns an API server, what a gateway that keeps a snapshot asks of it, and what it gets.
func withSnapshot(t *testing.T) (f *fake, o Options, names string) {
	t.Helper()
	f = newFake(t)
	bookinfo(f)
	o = bookinfoOptions(f)
	o.Snapshot = filepath.Join(t.TempDir(), "snapshot")
	o.Wants = func(config.Delta) config.Wants {
		return config.Wants{PodLabels: []string{""}, Secrets: []config.Key{{Kind: "Secret", Namespace: "edge", Name: "cert"}}}
	}
	return f, o, strings.ReplaceAll(bookinfoNames, " Service shop", " Secret edge/cert, Service shop")
}

// TestSnapshot: a start without the API server serves what was served before, and says so; when
// the API server answers, what is there takes its place.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	f, o, names := withSnapshot(t)
	w := follow(t, o)
	w.wants(names)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(o.Snapshot); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no snapshot is written")
		}
	}
	w.stop()
	if info, err := os.Stat(o.Snapshot); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	before := w.object("VirtualService", "shop", "web")
	f.stop()
	l := &log{}
	o.Logger = l.logger()
	w = follow(t, o)
	w.wants(names)
	if c := w.wantsReasons(ReasonSnapshot, ReasonAPIServerAway); !strings.Contains(c[0].Message, o.Snapshot) {
		t.Errorf("got %v", c)
	}
	if !strings.Contains(l.String(), "serving the snapshot") || !strings.Contains(l.String(), "age=") {
		t.Errorf("the log is %s", l)
	}
	if vs := w.object("VirtualService", "shop", "web"); !same(vs, before) {
		t.Errorf("of the snapshot came %+v, want %+v", vs, before)
	}
	f.delete("gateways", "edge/web", true)
	f.delete("secrets", "edge/cert", true)
	f.expire()
	f.start()
	w.wants(strings.ReplaceAll(bookinfoNames, "Gateway edge/web, ", ""))
	w.wantsReasons()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.removed != 2 {
		t.Errorf("%d were removed", w.removed)
	}
	for _, d := range w.deltas[1:] {
		for _, o := range d.Set {
			t.Errorf("%v is set and did not change", o.Key)
		}
	}
}

// TestSnapshotOfTheRest: of a snapshot comes what the API server could not be asked for, not what
// it has said is gone.
func TestSnapshotOfTheRest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snapshot")
	o := Options{REST: &rest.Config{Host: "http://api.invalid"}, Namespace: "edge", Snapshot: path, Logger: slog.New(slog.DiscardHandler)}
	c, err := New(o)
	must(t, err)
	var old []*config.Object
	for _, kind := range []string{"Gateway", "VirtualService"} {
		old = append(old, &config.Object{Key: config.Key{Group: istioNetworking, Kind: kind, Namespace: "edge", Name: "web"}, Version: "v1", Source: config.Plain("{}")})
	}
	must(t, writeSnapshot(path, time.Now(), old))
	c.sources = c.base()
	for _, s := range c.sources {
		if s.resource.kind == "Gateway" {
			must(t, s.Replace(nil, "7"))
		}
	}
	if !c.useSnapshot("", nil) {
		t.Fatal("the snapshot is not used")
	}
	if d := c.set.take(); len(d.Set) != 1 || d.Set[0].Kind != "VirtualService" {
		t.Errorf("of the snapshot came %v", d.Set)
	}
}

// TestLastSnapshot: what was handed on last is in the snapshot, however soon the end comes.
func TestLastSnapshot(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		path := filepath.Join(t.TempDir(), "snapshot")
		c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid"}, Namespace: "edge", Snapshot: path, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		p := publisher{cluster: c, publish: func(config.Delta) {}}
		p.hand(config.Delta{})
		stop()
		c.keepSnapshot(ctx)
		if _, _, err := readSnapshot(path); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// TestSnapshotWithoutSecrets: they can be left out.
func TestSnapshotWithoutSecrets(t *testing.T) {
	t.Parallel()
	c := &Cluster{set: newSet(), opt: Options{SnapshotNoSecrets: true}}
	for _, kind := range []string{"Secret", "Service"} {
		c.set.restore(&config.Object{Key: config.Key{Kind: kind, Name: "x"}, Source: config.Plain("{}")}, nil)
	}
	c.set.take()
	if got := c.snapshotObjects(); len(got) != 1 || got[0].Kind != "Service" {
		t.Errorf("got %v", got)
	}
}

// TestBrokenSnapshot: one that cannot be read is told of, and the API server waited for.
func TestBrokenSnapshot(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.stop()
	l := &log{}
	o := bookinfoOptions(f)
	o.Snapshot, o.Logger = filepath.Join(t.TempDir(), "snapshot"), l.logger()
	if err := os.WriteFile(o.Snapshot, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := follow(t, o)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(l.String(), "cannot be read"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say it: %s", l)
		}
	}
	f.start()
	w.wants(bookinfoNames)
}

// TestNamespaces: only the namespaces named are asked about, and the gateway's own.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.set("services", "elsewhere/web", "", `"spec":{}`)
	o := bookinfoOptions(f)
	o.Namespaces = []string{"shop"}
	w := follow(t, o)
	w.wants(bookinfoNames)
	f.set("services", "elsewhere/late", "", `"spec":{}`)
	f.set("services", "shop/late", "", `"spec":{}`)
	w.wants(strings.ReplaceAll(bookinfoNames, " Service shop/web", " Service shop/late, Service shop/web"))
	f.mu.Lock()
	defer f.mu.Unlock()
	for path := range f.asked {
		if !strings.Contains(path, "/namespaces/") && !strings.Contains(path, "ingressclasses") {
			t.Errorf("%s was asked for", path)
		}
	}
}

// TestSelector: namespaces join and leave by their labels.
func TestSelector(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.set("namespaces", "edge", "", "")
	f.set("namespaces", "shop", `{"labels":{"env":"test"}}`, "")
	o := bookinfoOptions(f)
	o.Selector = "env=prod"
	w := follow(t, o)
	const edge = "Gateway edge/web, Pod edge/gw-1"
	w.wants(edge)
	f.set("services", "shop/web", "", `"spec":{"x":1}`)
	f.set("namespaces", "shop", `{"labels":{"env":"prod"}}`, "")
	w.wants(bookinfoNames)
	f.set("namespaces", "shop", `{"labels":{"env":"test"}}`, "")
	w.wants(edge)
	f.set("namespaces", "shop", `{"labels":{"env":"prod"}}`, "")
	w.wants(bookinfoNames)
	f.delete("namespaces", "shop", false)
	w.wants(edge)
}

// TestNew: what can never work is told at once, with the way out.
func TestNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\nclusters:\n- name: a\n  cluster: {server: 'http://127.0.0.1:1'}\ncontexts:\n- name: a\n  context: {cluster: a}\ncurrent-context: a\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, c := range map[string]struct {
		o    Options
		says string
	}{
		"no cluster":       {Options{}, "--kubeconfig FILE"},
		"no such file":     {Options{Kubeconfig: "/nowhere/config"}, "/nowhere/config"},
		"no such context":  {Options{Kubeconfig: file, Context: "b"}, "kubectl config get-contexts"},
		"no selector":      {Options{Kubeconfig: file, Selector: "a in b"}, "selector"},
		"both":             {Options{Kubeconfig: file, Selector: "a=b", Namespaces: []string{"x"}}, "not both"},
		"a good one":       {Options{Kubeconfig: file}, ""},
		"its context":      {Options{Kubeconfig: file, Context: "a"}, ""},
		"a selector of it": {Options{Kubeconfig: file, Selector: "a notin (b)"}, ""},
	} {
		_, err := New(c.o)
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (!errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want something of %s", name, err, c.says)
		}
	}
}
