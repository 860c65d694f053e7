package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// follower is a consumer of deltas that checks each and keeps what they add up to.
type follower struct {
	t       testing.TB
	cluster *Cluster
	stop    func()

	mu         sync.Mutex
	news       chan struct{}
	objects    map[config.Key]*config.Object
	conditions []config.Condition
	deltas     []config.Delta
	removed    int
}

// follow follows a cluster until the test ends.
func follow(t testing.TB, o Options) *follower {
	t.Helper()
	return followAs(t, o, func(*Cluster) {})
}

// followAs is follow of a cluster that is changed before.
func followAs(t testing.TB, o Options, change func(*Cluster)) *follower {
	t.Helper()
	f := &follower{t: t, news: make(chan struct{}, 1), objects: map[config.Key]*config.Object{}}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if f.cluster, err = New(o); err != nil {
		t.Fatal(err)
	}
	f.cluster.patience = time.Minute // a slow machine may take its time
	f.cluster.refusal, f.cluster.absence = time.Millisecond, time.Millisecond
	change(f.cluster)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.cluster.Watch(ctx, f.apply) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v", err)
		}
	})
	t.Cleanup(f.stop)
	return f
}

func (f *follower) apply(d config.Delta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.deltas) > 0 && len(d.Set)+len(d.Removed) == 0 && slices.Equal(d.Conditions, f.conditions) {
		f.t.Error("a delta without a change")
	}
	for _, o := range d.Set {
		if f.objects[o.Key] == o {
			f.t.Errorf("%v is set and did not change", o.Key)
		}
		f.objects[o.Key] = o
	}
	for _, key := range d.Removed {
		if f.objects[key] == nil {
			f.t.Errorf("%v is removed and was not there", key)
		}
		delete(f.objects, key)
		f.removed++
	}
	f.conditions = d.Conditions
	f.deltas = append(f.deltas, d)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// losses returns how many objects were ever taken away, told how many deltas there were.
func (f *follower) losses() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.removed
}

func (f *follower) told() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.deltas)
}

// names returns "Kind namespace/name" of each object, in order.
func (f *follower) names() string {
	var names []string
	for key := range f.objects {
		names = append(names, key.String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (f *follower) eventually(what string, is func() bool) {
	f.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		f.mu.Lock()
		ok := is()
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-f.news:
		case <-timeout:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.t.Fatalf("waited in vain for %s; there is %q, conditions %v", what, f.names(), f.conditions)
		}
	}
}

// wants waits until the objects are those, as names writes them.
func (f *follower) wants(names string) {
	f.t.Helper()
	f.eventually(names, func() bool { return f.names() == names })
}

// wantsReasons waits until the conditions have these reasons, in order.
func (f *follower) wantsReasons(want ...config.Reason) (got []config.Condition) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("conditions %v", want), func() bool {
		got = f.conditions
		return slices.EqualFunc(got, want, func(c config.Condition, r config.Reason) bool { return c.Reason == r })
	})
	return got
}

func (f *follower) object(kind, namespace, name string) *config.Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, o := range f.objects {
		if key.Kind == kind && key.Namespace == namespace && key.Name == name {
			return o
		}
	}
	f.t.Fatalf("there is no %s %s/%s", kind, namespace, name)
	return nil
}

// bookinfo gives the API server a small application.
func bookinfo(f *fake) {
	f.set("gateways", "edge/web", `{"labels":{"a":"b"}}`, `"spec":{"selector":{"istio":"ingressgateway"}},"status":{"x":1}`)
	f.set("virtualservices", "shop/web", `{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","team":"x"}}`, `"spec":{"hosts":["*"]}`)
	f.set("services", "shop/web", "", `"spec":{"ports":[{"port":80}],"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"sessionAffinity":"None"},"status":{"loadBalancer":{}}`)
	f.set("endpointslices", "shop/web-1", `{"labels":{"kubernetes.io/service-name":"web"}}`,
		`"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true},"nodeName":"n1","targetRef":{"kind":"Pod","name":"web-1","namespace":"shop","uid":"1"}}],"ports":[{"port":8080}]`)
	f.set("pods", "shop/web-1", `{"labels":{"version":"v1"}}`, `"spec":{"containers":[{"name":"web","image":"x"}]},"status":{"podIP":"10.1.0.1"}`)
	f.set("pods", "edge/gw-1", `{"labels":{"istio":"ingressgateway"}}`, `"spec":{"containers":[{"name":"gw","image":"x","ports":[{"name":"http","containerPort":8080}]}]},"status":{"phase":"Running","podIP":"10.1.0.9","startTime":"x"}`)
	f.set("secrets", "edge/cert", "", `"type":"kubernetes.io/tls","data":{"tls.crt":"eA==","tls.key":"eQ=="}`)
	f.set("secrets", "edge/other", "", `"data":{"password":"eA=="}`)
}

const bookinfoNames = "EndpointSlice shop/web-1, Gateway edge/web, Pod edge/gw-1, Pod shop/web-1, Service shop/web, VirtualService shop/web"

func bookinfoOptions(f *fake) Options {
	o := f.options()
	o.Namespace = "edge"
	o.Wants = func(config.Delta) config.Wants { return config.Wants{PodLabels: []string{""}} }
	return o
}

// TestFirstDelta: everything comes at once, and of each object what is read.
func TestFirstDelta(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	w.wantsReasons()
	if n := w.told(); n != 1 {
		t.Errorf("it came in %d deltas", n)
	}
	for _, c := range []struct{ kind, namespace, name, manifest string }{
		{"Gateway", "edge", "web", `{"apiVersion":"networking.istio.io/v1","kind":"Gateway","metadata":{"name":"web","namespace":"edge"},"spec":{"selector":{"istio":"ingressgateway"}}}`},
		{"Service", "shop", "web", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[{"port":80}],"clusterIP":"10.0.0.1"}}`},
		{"EndpointSlice", "shop", "web-1", `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1","namespace":"shop"},"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"web-1","namespace":"shop"}}],"ports":[{"port":8080}]}`},
		{"Pod", "shop", "web-1", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"shop"}}`},
		{"Pod", "edge", "gw-1", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"gw-1","namespace":"edge"},"spec":{"containers":[{"ports":[{"name":"http","containerPort":8080}]}]},"status":{"phase":"Running","podIP":"10.1.0.9"}}`},
	} {
		if got := string(w.object(c.kind, c.namespace, c.name).Text()); got != c.manifest {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.manifest)
		}
	}
	vs := w.object("VirtualService", "shop", "web")
	if vs.Version != "v1" || len(vs.Annotations) != 1 || vs.Annotations["team"] != "x" || vs.Created == 0 {
		t.Errorf("got %+v", vs)
	}
	if pod := w.object("Pod", "shop", "web-1"); pod.Labels["version"] != "v1" {
		t.Errorf("got %+v", pod)
	}
	id, ok := w.cluster.Identity(vs.Key)
	if !ok || id.UID != "uid-web" || id.Resource != "virtualservices" || id.Version != "v1" || id.Generation != 1 {
		t.Errorf("the identity is %+v", id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for path := range f.asked {
		if strings.Contains(path, "secrets") {
			t.Errorf("nobody wants Secrets, and %s was asked for", path)
		}
	}
}

// TestChanges: what is written, changed and deleted arrives; what says the same does not.
func TestChanges(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	f.set("gateways", "edge/new", "", `"spec":{}`)
	w.eventually("the new Gateway", func() bool { return strings.Contains(w.names(), "Gateway edge/new") })
	// A status is no change; the change behind it is.
	f.set("virtualservices", "shop/web", `{"annotations":{"team":"x"}}`, `"spec":{"hosts":["*"]},"status":{"x":1}`)
	f.set("services", "shop/web", "", `"spec":{"ports":[{"port":81}]}`)
	service := config.Key{Kind: "Service", Namespace: "shop", Name: "web"}
	w.eventually("port 81", func() bool { return strings.Contains(string(w.objects[service].Text()), "81") })
	f.delete("pods", "shop/web-1", false)
	w.eventually("the Pod's end", func() bool { return !strings.Contains(w.names(), "Pod shop/web-1") })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.deltas[1:] {
		for _, o := range d.Set {
			if o.Kind == "VirtualService" {
				t.Error("a status was taken for a change")
			}
		}
	}
}

// TestThereAndBack: what changes and is as before when it could be handed on is no change.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
	key := w.object("Gateway", "edge", "web").Key
	w.mu.Lock() // whoever takes a change waits
	f.set("services", "shop/late", "", `"spec":{}`)
	until("the Service to be handed on", func() bool {
		return slices.ContainsFunc(w.cluster.set.objects(), func(o *config.Object) bool { return o.Name == "late" })
	})
	f.set("gateways", "edge/web", `{"labels":{"a":"b"}}`, `"spec":{"x":1}`)
	f.set("gateways", "edge/web", `{"labels":{"a":"b"}}`, `"spec":{"selector":{"istio":"ingressgateway"}}`)
	f.mu.Lock()
	now := fmt.Sprint(f.now)
	f.mu.Unlock()
	until("the changes", func() bool { id, _ := w.cluster.Identity(key); return id.ResourceVersion == now })
	w.mu.Unlock()
	until("all to be handed on", func() bool { _, some := w.cluster.set.due(); return !some })
	f.set("services", "shop/last", "", `"spec":{}`)
	w.eventually("the last Service", func() bool { return strings.Contains(w.names(), "Service shop/last") })
}

// TestRelist: after events were lost, what went goes, and what stayed keeps its pointer.
func TestRelist(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	gateway := w.object("Gateway", "edge", "web")
	f.delete("virtualservices", "shop/web", true)
	f.set("virtualservices", "shop/late", "", `"spec":{"hosts":["x"]}`)
	f.expire()
	w.wants(strings.ReplaceAll(bookinfoNames, "VirtualService shop/web", "VirtualService shop/late"))
	if w.object("Gateway", "edge", "web") != gateway {
		t.Error("a list anew gave the Gateway another pointer")
	}
	if n := w.losses(); n != 1 {
		t.Errorf("%d objects were removed, want one", n)
	}
}

// TestPages: a list in pages is one list.
func TestPages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.pageSize = 7
	for i := range 50 {
		f.set("services", fmt.Sprintf("shop/s%02d", i), "", `"spec":{}`)
	}
	w := follow(t, f.options())
	w.eventually("all Services", func() bool { return len(w.objects) == 50 })
	if n := f.pages.Load(); n != 7 {
		t.Errorf("%d pages were turned, want 7", n)
	}
}

// TestSecrets: only those wanted are read, each by its name; the first Delta has them.
func TestSecrets(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	o := bookinfoOptions(f)
	named := config.Wants{PodLabels: []string{""}}
	for _, name := range []string{"cert", "cert-cacert"} {
		named.Secrets = append(named.Secrets, config.Key{Kind: "Secret", Namespace: "edge", Name: name})
	}
	o.Wants = func(d config.Delta) config.Wants {
		for _, object := range d.Set {
			if object.Kind == "Gateway" && object.Labels["secret"] != "" {
				named.Secrets = nil
			}
		}
		return named
	}
	w := follow(t, o)
	w.wants(bookinfoNames[:strings.Index(bookinfoNames, "Service shop")] + "Secret edge/cert, Service shop/web, VirtualService shop/web")
	if n := w.told(); n != 1 {
		t.Errorf("it came in %d deltas", n)
	}
	f.set("secrets", "edge/cert-cacert", "", `"data":{"ca.crt":"eA=="}`)
	w.eventually("a Secret that comes later", func() bool { return strings.Contains(w.names(), "Secret edge/cert-cacert") })
	f.mu.Lock()
	for path := range f.asked {
		if strings.Contains(path, "secrets") && !strings.HasSuffix(path, "/cert") && !strings.HasSuffix(path, "/cert-cacert") &&
			!strings.HasSuffix(path, " metadata.name=cert") && !strings.HasSuffix(path, " metadata.name=cert-cacert") {
			t.Errorf("%s was asked for", path)
		}
	}
	f.mu.Unlock()
	// Nobody wants them any more.
	f.set("gateways", "edge/web", `{"labels":{"secret":"no"}}`, `"spec":{}`)
	w.wants(bookinfoNames)
}

// TestPods: Pods are read where they are wanted, and as far as they are.
func TestPods(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	o := bookinfoOptions(f)
	var mu sync.Mutex
	var wanted config.Wants
	o.Wants = func(config.Delta) config.Wants {
		mu.Lock()
		defer mu.Unlock()
		return wanted
	}
	w := follow(t, o)
	without := strings.ReplaceAll(bookinfoNames, ", Pod shop/web-1", "")
	w.wants(without)
	touched := 0
	want := func(next config.Wants) {
		mu.Lock()
		wanted = next
		mu.Unlock()
		touched++
		f.set("gateways", "edge/web", fmt.Sprintf(`{"labels":{"touched":"%d"}}`, touched), `"spec":{}`)
	}
	address := func(want bool) {
		t.Helper()
		w.eventually(fmt.Sprintf("a Pod's address: %v", want), func() bool {
			o := w.objects[config.Key{Kind: "Pod", Namespace: "shop", Name: "web-1"}]
			return o != nil && strings.Contains(string(o.Text()), "10.1.0.1") == want
		})
	}
	for range 2 {
		want(config.Wants{PodLabels: []string{"shop"}})
		address(false)
		want(config.Wants{PodLabels: []string{"shop"}, Pods: []string{"shop"}})
		address(true)
		want(config.Wants{PodLabels: []string{""}, Pods: []string{"shop"}})
		address(true)
		f.set("pods", "shop/web-2", "", `"spec":{}`)
		w.wants(strings.ReplaceAll(bookinfoNames, "Pod shop/web-1", "Pod shop/web-1, Pod shop/web-2"))
		want(config.Wants{PodLabels: []string{""}})
		address(false)
		f.delete("pods", "shop/web-2", false)
		w.wants(bookinfoNames)
		if w.losses() > touched {
			t.Error("the Pod went in between")
		}
		want(config.Wants{})
		w.wants(without)
	}
}

// TestPodsStay: when Pods are asked for in another way, those that were known are known until
// the new way has told of them: subsets of services are found by their labels.
func TestPodsStay(t *testing.T) {
	t.Parallel()
	many := make([]string, maxNamespaces+1)
	for i := range many {
		many[i] = fmt.Sprintf("ns%02d", i)
	}
	for name, c := range map[string]struct{ first, then config.Wants }{
		"whole":                {config.Wants{PodLabels: many[:1]}, config.Wants{PodLabels: many[:1], Pods: many[:1]}},
		"of many, whole":       {config.Wants{PodLabels: many}, config.Wants{PodLabels: many, Pods: many[:1]}},
		"labels only":          {config.Wants{Pods: many[:1]}, config.Wants{PodLabels: many[:1]}},
		"labels, of many":      {config.Wants{Pods: many[:1]}, config.Wants{PodLabels: many}},
		"all together":         {config.Wants{PodLabels: many[:maxNamespaces]}, config.Wants{PodLabels: many}},
		"one by one":           {config.Wants{PodLabels: many}, config.Wants{PodLabels: many[:maxNamespaces]}},
		"one by one and whole": {config.Wants{PodLabels: many}, config.Wants{PodLabels: many[:maxNamespaces], Pods: many[:1]}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.set("pods", "ns00/web-1", `{"labels":{"version":"v1"}}`, `"status":{"podIP":"10.1.0.1"}`)
			f.set("pods", "ns00/web-2", `{"labels":{"version":"v1"}}`, `"status":{"podIP":"10.1.0.2"}`)
			f.set("gateways", "edge/web", "", `"spec":{}`)
			o := bookinfoOptions(f)
			var changed atomic.Bool
			o.Wants = func(d config.Delta) config.Wants {
				for _, o := range d.Set {
					changed.Store(changed.Load() || o.Labels["changed"] != "")
				}
				if changed.Load() {
					return c.then
				}
				return c.first
			}
			w := follow(t, o)
			w.wants("Gateway edge/web, Pod ns00/web-1, Pod ns00/web-2")
			// One goes while nobody can learn of it but by a list.
			f.hold("pods")
			f.set("gateways", "edge/web", `{"labels":{"changed":"yes"}}`, `"spec":{}`)
			w.eventually("the change", func() bool {
				return w.objects[config.Key{Group: istioNetworking, Kind: "Gateway", Namespace: "edge", Name: "web"}].Labels["changed"] != ""
			})
			f.awaitHeld()
			f.delete("pods", "ns00/web-2", true)
			f.set("services", "ns00/web", "", `"spec":{}`)
			w.wants("Gateway edge/web, Pod ns00/web-1, Pod ns00/web-2, Service ns00/web")
			f.release()
			w.wants("Gateway edge/web, Pod ns00/web-1, Service ns00/web")
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.removed != 1 {
				t.Errorf("%d objects were removed, want one", w.removed)
			}
		})
	}
}
