package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
)

// objectAPI is an API server that keeps objects by their paths: it reads, lists, makes, replaces
// and patches statuses. It is its clients' transport, so that there is no network.
type objectAPI struct {
	t  testing.TB
	mu sync.Mutex
	// objects are by their path; now is the version of the last change.
	objects map[string]map[string]any
	now     int
	// answers are the codes that requests get instead of an answer, by "METHOD part of the path".
	answers map[string]int
	// requests are those that came, as "METHOD path".
	requests []string
}

func newObjectAPI(t testing.TB) *objectAPI {
	return &objectAPI{t: t, objects: map[string]map[string]any{}, answers: map[string]int{}}
}

// RoundTrip answers a request; a code of -1 is no answer at all.
func (a *objectAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	for what, code := range a.answers {
		method, part, _ := strings.Cut(what, " ")
		if (method == "*" || method == r.Method) && strings.Contains(r.URL.Path, part) {
			if code < 0 {
				return nil, fmt.Errorf("dial tcp 192.0.2.1:443: connection refused")
			}
			a.fail(w, code, fmt.Sprintf("%s is forbidden: User \"system:serviceaccount:edge:gw\" cannot %s", part, r.Method))
			return w.Result(), nil
		}
	}
	a.serve(w, r)
	return w.Result(), nil
}

func (a *objectAPI) fail(w http.ResponseWriter, code int, message string) {
	reason := map[int]metav1.StatusReason{404: metav1.StatusReasonNotFound, 403: metav1.StatusReasonForbidden, 503: metav1.StatusReasonServiceUnavailable, 500: metav1.StatusReasonInternalError}[code]
	a.status(w, code, reason, message)
}

func (a *objectAPI) status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message})
}

func (a *objectAPI) serve(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		if len(text) > 0 {
			if err := json.Unmarshal(text, &body); err != nil {
				a.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			}
		}
	}
	path, of := strings.CutSuffix(r.URL.Path, "/status")
	if r.Method != http.MethodGet && r.URL.Query().Get("fieldManager") != "sluice" {
		a.t.Errorf("%s %s without a field manager", r.Method, r.URL.Path)
	}
	switch o := a.objects[path]; {
	case r.Method == http.MethodPost:
		name := path + "/" + body["metadata"].(map[string]any)["name"].(string)
		if a.objects[name] != nil {
			a.status(w, 409, metav1.StatusReasonAlreadyExists, "exists")
			return
		}
		a.put(name, body)
		_ = json.NewEncoder(w).Encode(body)
	case r.Method == http.MethodGet && o == nil && !strings.Contains(path[strings.LastIndex(path, "/")+1:], "-"):
		a.list(w, path)
	case o == nil:
		a.fail(w, 404, "not found")
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(o)
	case body["metadata"].(map[string]any)["resourceVersion"] != o["metadata"].(map[string]any)["resourceVersion"]:
		a.status(w, 409, metav1.StatusReasonConflict, "changed")
	case r.Method == http.MethodPut:
		a.put(path, body)
		_ = json.NewEncoder(w).Encode(body)
	case r.Method == http.MethodPatch && of:
		if r.Header.Get("Content-Type") != string(types.MergePatchType) {
			a.t.Errorf("a patch of type %s", r.Header.Get("Content-Type"))
		}
		next := maps.Clone(o)
		next["status"] = mergePatch(o["status"], body["status"])
		a.put(path, next)
		_ = json.NewEncoder(w).Encode(next)
	default:
		a.t.Errorf("unexpected: %s %s", r.Method, r.URL.Path)
	}
}

// mergePatch is RFC 7396.
func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result := map[string]any{}
	if t, ok := target.(map[string]any); ok {
		maps.Copy(result, t)
	}
	for k, v := range p {
		if v == nil {
			delete(result, k)
			continue
		}
		result[k] = mergePatch(result[k], v)
	}
	return result
}

// put stores an object as a new version.
func (a *objectAPI) put(path string, o map[string]any) {
	a.now++
	metadata := maps.Clone(o["metadata"].(map[string]any))
	metadata["resourceVersion"] = strconv.Itoa(a.now)
	o = maps.Clone(o)
	o["metadata"] = metadata
	a.objects[path] = o
}

// list answers with the objects right below a path.
func (a *objectAPI) list(w http.ResponseWriter, path string) {
	items := []any{}
	for _, p := range slices.Sorted(maps.Keys(a.objects)) {
		collection := p[:strings.LastIndex(p, "/")]
		if before, after, ok := strings.Cut(collection, "/namespaces/"); ok && !strings.Contains(path, "/namespaces/") {
			collection = before + after[strings.Index(after, "/"):]
		}
		if collection == path {
			items = append(items, a.objects[p])
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "metadata": map[string]any{}, "items": items})
}

// set stores an object given as JSON.
func (a *objectAPI) set(path, text string) {
	a.t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(path, o)
}

func (a *objectAPI) answer(what string, code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if code == 0 {
		delete(a.answers, what)
		return
	}
	a.answers[what] = code
}

// count returns how many requests begin with a method and have a part in their path.
func (a *objectAPI) count(method, part string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// statusOf returns an object's status.
func (a *objectAPI) statusOf(path string) (text json.RawMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, _ = json.Marshal(a.objects[path]["status"])
	return text
}

// under returns the objects below a path, each as JSON.
func (a *objectAPI) under(path string) (list []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range slices.Sorted(maps.Keys(a.objects)) {
		if strings.HasPrefix(p, path+"/") {
			text, _ := json.Marshal(a.objects[p])
			list = append(list, string(text))
		}
	}
	return list
}

// writing is a writer at an objectAPI, with objects that are brought by hand.
type writing struct {
	*StatusWriter
	api *objectAPI
	// all are the conditions that there are.
	all []config.Condition
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	*bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// text returns what has been written.
func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newWriting(t testing.TB, a *objectAPI, o StatusOptions) (*writing, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{Buffer: &bytes.Buffer{}}
	c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid", Transport: a}, Namespace: "edge", Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return &writing{StatusWriter: c.NewStatusWriter(o), api: a}, log
}

const istioPath = "/apis/networking.istio.io/v1/namespaces/shop/"

// bring makes a VirtualService or Gateway of the namespace shop known and in force, with what is wrong
// with it, and has the API server have it.
func (w *writing) bring(kind, name string, generation int64, conditions ...config.Condition) config.Key {
	w.api.t.Helper()
	key := config.Key{Group: istioNetworking, Kind: kind, Namespace: "shop", Name: name}
	if kind == "Ingress" {
		key.Group = ingresses
	}
	r := resourceOf(key)
	path := r.path("v1", "shop") + "/" + name
	w.api.mu.Lock()
	o := map[string]any{"kind": kind, "metadata": map[string]any{"namespace": "shop", "name": name, "uid": "uid-" + name, "generation": generation}}
	if had := w.api.objects[path]; had["status"] != nil {
		o["status"] = had["status"]
	}
	w.api.put(path, o)
	w.api.mu.Unlock()
	i := &item{object: &config.Object{Key: key, Version: "v1", Source: config.Plain(fmt.Appendf(nil, `{"n":%d}`, generation))}}
	i.UID, i.Generation = types.UID("uid-"+name), generation
	w.cluster.set.put(&source{cluster: w.cluster, resource: r}, i)
	for n := range conditions {
		conditions[n].Object = key
	}
	w.replace(key, conditions)
	w.StatusWriter.apply(w.cluster.set.take())
	return key
}

// replace makes these the conditions of an object.
func (w *writing) replace(key config.Key, conditions []config.Condition) {
	w.all = append(slices.DeleteFunc(slices.Clone(w.all), func(c config.Condition) bool { return c.Object == key }), conditions...)
	w.Conditions(w.all)
}

func bad(reason, field, message string) config.Condition {
	return config.Condition{Severity: config.Error, Reason: config.Reason(reason), Field: field, Message: message}
}

// figures are the metrics that are not zero, and the gauges.
func (w *writing) figures() map[string]float64 {
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		w.api.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		name := strings.TrimPrefix(f.GetName(), "sluice_status_")
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			switch name {
			case "writes_total":
				got[strings.Join(labels, " ")] = m.GetCounter().GetValue()
			case "events_total":
				got["event "+strings.Join(labels, " ")] = m.GetCounter().GetValue()
			default:
				got[name] = m.GetGauge().GetValue()
			}
		}
	}
	return got
}
