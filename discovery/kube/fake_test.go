package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/test/freeport"
)

// fake is an API server: it lists and watches what it is given.
type fake struct {
	t   testing.TB
	mu  sync.Mutex
	now int
	// objects are by their resource, then by "namespace/name".
	objects map[string]map[string]*fakeObject
	// events are those of a resource; floor is the version of which nothing older is known.
	events map[string][]fakeEvent
	floor  int
	// news is closed when there are events.
	news chan struct{}
	// denied are the resources that are forbidden, installed the versions of Istio's kinds.
	denied    map[string]bool
	installed map[string][]string
	// held are the resources of which lists wait, until gate is closed; waiting says that one does.
	held    map[string]bool
	gate    chan struct{}
	waiting chan struct{}
	// broken are the paths that are answered with 500, absent those with 404.
	broken, absent map[string]bool
	// short ends watches as soon as they are asked for.
	short atomic.Bool
	// cut ends the watches that there are, by being closed.
	cut chan struct{}
	// failing answers everything with an error, and failed counts these answers.
	failing, failed atomic.Int32
	// pages counts list requests with a continue token, watches those for watches, asked all by
	// their path and selector.
	pages, watches atomic.Int32
	asked          map[string]int
	// listedFrom is the version from which a resource was listed last.
	listedFrom map[string]string
	// watching counts the watches that stand, and stands is closed when that changes.
	watching map[string]int
	stands   chan struct{}

	address  string
	ended    chan struct{} // closed when server has ended
	server   *http.Server
	delay    time.Duration
	pageSize int
}

type fakeObject struct {
	namespace, name string
	version         int
	// body is everything but the metadata, with a comma before it, or empty.
	metadata map[string]any
	body     string
}

type fakeEvent struct {
	version int
	kind    string
	object  *fakeObject
}

var istioResources = []string{"gateways", "virtualservices", "destinationrules", "serviceentries", "workloadentries", "sidecars"}

func newFake(t testing.TB) *fake {
	f := &fake{
		t: t, now: 100, objects: map[string]map[string]*fakeObject{}, events: map[string][]fakeEvent{}, news: make(chan struct{}),
		denied: map[string]bool{}, installed: map[string][]string{"telemetries": {"v1alpha1"}}, cut: make(chan struct{}), asked: map[string]int{}, listedFrom: map[string]string{},
		watching: map[string]int{}, stands: make(chan struct{}), broken: map[string]bool{}, absent: map[string]bool{}, held: map[string]bool{}, waiting: make(chan struct{}, 1),
	}
	for _, r := range istioResources {
		f.installed[r] = istioVersions
	}
	f.start()
	t.Cleanup(f.stop)
	return f
}

// start serves, at the address where it served before.
func (f *fake) start() {
	if f.address == "" {
		f.address = fmt.Sprintf("127.0.0.1:%d", freeport.Take())
	}
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server, f.ended = &http.Server{Handler: f}, make(chan struct{})
	go func(server *http.Server, ended chan<- struct{}) {
		defer close(ended)
		server.Serve(l) //nolint:errcheck // it ends by stop
	}(f.server, f.ended)
}

// stop ends the server and all its connections.
// stop returns when the address is free.
func (f *fake) stop() {
	f.server.Close()
	<-f.ended
}

func (f *fake) options() Options {
	return Options{REST: &rest.Config{Host: "http://" + f.address}}
}

// set writes an object: its metadata beyond the name, and the rest of it, as JSON.
func (f *fake) set(resource, name, metadata, body string) {
	f.t.Helper()
	o := &fakeObject{body: body, metadata: map[string]any{}}
	o.namespace, o.name, _ = strings.Cut(name, "/")
	if o.name == "" {
		o.namespace, o.name = "", o.namespace
	}
	if metadata != "" {
		if err := json.Unmarshal([]byte(metadata), &o.metadata); err != nil {
			f.t.Fatal(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now++
	o.version = f.now
	if f.objects[resource] == nil {
		f.objects[resource] = map[string]*fakeObject{}
	}
	kind := "ADDED"
	if f.objects[resource][name] != nil {
		kind = "MODIFIED"
	}
	f.objects[resource][name] = o
	f.tell(resource, fakeEvent{f.now, kind, o})
}

// delete takes an object away. With silent nobody who watches is told.
func (f *fake) delete(resource, name string, silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := *f.objects[resource][name]
	delete(f.objects[resource], name)
	f.now++
	o.version = f.now
	if !silent {
		f.tell(resource, fakeEvent{f.now, "DELETED", &o})
	}
}

func (f *fake) tell(resource string, e fakeEvent) {
	f.events[resource] = append(f.events[resource], e)
	close(f.news)
	f.news = make(chan struct{})
}

// expire forgets all events and ends all watches, so that clients must list anew.
func (f *fake) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.events)
	f.now++
	f.floor = f.now
	close(f.cut)
	f.cut = make(chan struct{})
}

func (f *fake) deny(resource string, denied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[resource] = denied
}

// lose has a path answered as if it did not exist, or as it should be.
func (f *fake) lose(path string, absent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.absent[path] = absent
}

// requests counts those for a path, with a selector or without.
func (f *fake) requests(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func (f *fake) install(resource string, versions ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.installed[resource] = versions
}

// standing counts the watches that stand, by path and selector.
func (f *fake) standing(key string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watching[key] += n
	close(f.stands)
	f.stands = make(chan struct{})
}

// awaitWatch waits until a watch stands.
func (f *fake) awaitWatch(key string) {
	f.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		f.mu.Lock()
		stands, news := f.watching[key] > 0, f.stands
		f.mu.Unlock()
		if stands {
			return
		}
		select {
		case <-news:
		case <-timeout:
			f.t.Fatalf("waited in vain for a watch of %s", key)
		}
	}
}

// hold has lists of a resource wait for release, and awaitHeld waits until one does.
func (f *fake) hold(resource string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[resource] = true
	f.gate = make(chan struct{})
}

func (f *fake) awaitHeld() { <-f.waiting }

func (f *fake) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.held)
	close(f.gate)
}

// pass waits where lists of a resource are held.
func (f *fake) pass(r *http.Request, resource string) {
	f.mu.Lock()
	held, gate := f.held[resource], f.gate
	f.mu.Unlock()
	if !held {
		return
	}
	select {
	case f.waiting <- struct{}{}:
	default:
	}
	select {
	case <-gate:
	case <-r.Context().Done():
	}
}

func (o *fakeObject) json(kind, apiVersion string, metadataOnly bool) string {
	metadata := map[string]any{
		"name": o.name, "resourceVersion": strconv.Itoa(o.version), "uid": "uid-" + o.name, "generation": 1,
		"creationTimestamp": "2026-11-21T12:00:00Z",
		"managedFields":     []any{map[string]any{"manager": "kubectl", "fieldsV1": map[string]any{"f:spec": map[string]any{}}}},
	}
	if o.namespace != "" {
		metadata["namespace"] = o.namespace
	}
	maps.Copy(metadata, o.metadata)
	text, _ := json.Marshal(metadata)
	body := o.body
	if metadataOnly {
		kind, apiVersion, body = "PartialObjectMetadata", "meta.k8s.io/v1", ""
	}
	if body != "" {
		body = "," + body
	}
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":%s%s}`, apiVersion, kind, text, body)
}

func (f *fake) fail(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	delay := f.delay
	f.mu.Unlock()
	time.Sleep(delay)
	if code := int(f.failing.Load()); code != 0 {
		f.failed.Add(1)
		f.fail(w, code, http.StatusText(code), http.StatusText(code))
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group, version := "", ""
	switch {
	case parts[0] == "api" && len(parts) > 2:
		version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) > 1:
		group = parts[1]
		if len(parts) > 2 {
			version = parts[2]
		}
		parts = parts[min(3, len(parts)):]
	}
	if len(parts) == 0 {
		f.discover(w, group, version)
		return
	}
	namespace, name := "", ""
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	resource := parts[0]
	if len(parts) > 1 {
		name = parts[1]
	}
	f.mu.Lock()
	f.asked[strings.TrimSuffix(r.URL.Path+" "+r.URL.Query().Get("fieldSelector"), " ")]++
	broken, denied, served := f.broken[r.URL.Path], f.denied[resource], !f.absent[r.URL.Path] && (!strings.HasSuffix(group, ".istio.io") || slices.Contains(f.installed[resource], version))
	f.mu.Unlock()
	switch {
	case broken:
		f.fail(w, 500, "InternalError", "unable to transform key")
	case !served:
		f.fail(w, 404, "NotFound", "the server could not find the requested resource")
	case denied:
		f.fail(w, 403, "Forbidden", fmt.Sprintf("%s is forbidden: User \"system:serviceaccount:edge:gw\" cannot list resource %q in API group %q at the cluster scope", resource, resource, group))
	case name != "":
		f.one(w, resource, strings.TrimPrefix(namespace+"/"+name, "/"), apiVersionOf(group, version))
	case r.URL.Query().Get("watch") == "true":
		f.watch(w, r, resource, namespace, apiVersionOf(group, version))
	default:
		f.pass(r, resource)
		f.list(w, r, resource, namespace, apiVersionOf(group, version))
	}
}

func apiVersionOf(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

func (f *fake) discover(w http.ResponseWriter, group, version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	served := map[string][]map[string]string{}
	for r, versions := range f.installed {
		if (r == "telemetries") != (group == istioTelemetry) {
			continue
		}
		for _, v := range versions {
			served[v] = append(served[v], map[string]string{"name": r})
		}
	}
	switch {
	case version == "" && len(served) == 0:
		f.fail(w, 404, "NotFound", "no such group")
	case version == "":
		var list []map[string]string
		for _, v := range slices.Sorted(maps.Keys(served)) {
			list = append(list, map[string]string{"version": v})
		}
		json.NewEncoder(w).Encode(map[string]any{"versions": list})
	default:
		json.NewEncoder(w).Encode(map[string]any{"resources": served[version]})
	}
}

func (f *fake) one(w http.ResponseWriter, resource, name, apiVersion string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[resource][name]
	if o == nil {
		f.fail(w, 404, "NotFound", "no such object")
		return
	}
	fmt.Fprint(w, o.json(resource, apiVersion, false))
}

// selects says whether an object is asked for.
func selects(r *http.Request, namespace string, o *fakeObject) bool {
	if namespace != "" && o.namespace != namespace {
		return false
	}
	fields := r.URL.Query().Get("fieldSelector")
	if name, ok := strings.CutPrefix(fields, "metadata.name="); ok {
		return o.name == name
	}
	if name, ok := strings.CutPrefix(fields, "metadata.namespace!="); ok {
		return o.namespace != name
	}
	return true
}

func (f *fake) list(w http.ResponseWriter, r *http.Request, resource, namespace, apiVersion string) {
	metadataOnly := strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listedFrom[resource] = r.URL.Query().Get("resourceVersion")
	names := slices.Sorted(maps.Keys(f.objects[resource]))
	next := ""
	if f.pageSize > 0 {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		if from > 0 {
			f.pages.Add(1)
		}
		to := min(len(names), from+f.pageSize)
		if to < len(names) {
			next = strconv.Itoa(to)
		}
		names = names[from:to]
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"items":[`)
	first := true
	for _, name := range names {
		o := f.objects[resource][name]
		if !selects(r, namespace, o) {
			continue
		}
		if !first {
			fmt.Fprint(w, ",")
		}
		first = false
		fmt.Fprint(w, o.json(resource, apiVersion, metadataOnly))
	}
	fmt.Fprintf(w, `],"kind":"List","apiVersion":%q,"metadata":{"resourceVersion":"%d","continue":%q}}`+"\n", apiVersion, f.now, next)
}

func (f *fake) watch(w http.ResponseWriter, r *http.Request, resource, namespace, apiVersion string) {
	f.watches.Add(1)
	metadataOnly := strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata;")
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	if f.short.Load() {
		return
	}
	f.mu.Lock()
	cut, expired := f.cut, since < f.floor && since != 0
	if since == 0 {
		// It begins with what there is.
		since = f.now
		for _, name := range slices.Sorted(maps.Keys(f.objects[resource])) {
			if o := f.objects[resource][name]; selects(r, namespace, o) {
				fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", o.json(resource, apiVersion, metadataOnly))
			}
		}
		w.(http.Flusher).Flush()
	}
	f.mu.Unlock()
	key := r.URL.Path + " " + r.URL.Query().Get("fieldSelector")
	if !expired {
		f.standing(key, 1)
		defer f.standing(key, -1)
	}
	if expired {
		fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410}}`)
		return
	}
	for {
		f.mu.Lock()
		if f.cut != cut {
			f.mu.Unlock()
			return
		}
		news := f.news
		var events []fakeEvent
		for _, e := range f.events[resource] {
			if e.version > since && selects(r, namespace, e.object) {
				events = append(events, e)
			}
		}
		since = f.now
		f.mu.Unlock()
		for _, e := range events {
			o := *e.object
			o.version = e.version
			fmt.Fprintf(w, `{"type":%q,"object":%s}`+"\n", e.kind, o.json(resource, apiVersion, metadataOnly))
		}
		if len(events) == 0 {
			fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":"X","apiVersion":"v1","metadata":{"resourceVersion":"%d"}}}`+"\n", since)
		}
		w.(http.Flusher).Flush()
		select {
		case <-news:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}
