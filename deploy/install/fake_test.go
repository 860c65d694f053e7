package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// fake is an API server as far as installing needs one: it keeps what is applied, by its path.
type fake struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	// missing are collections that there are none of, and refuse answers requests for a path with
	// a status.
	missing map[string]bool
	refuse  map[string]int
	// changes are the requests that change something, with their paths.
	changes []string
	// got is called with each path that is read.
	got func(path string)
}

func newFake(t *testing.T) (*fake, *Cluster, *bytes.Buffer) {
	t.Helper()
	f := &fake{objects: map[string]map[string]any{}, missing: map[string]bool{}, refuse: map[string]int{}, got: func(string) {}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	var out bytes.Buffer
	return f, f.connect(t, server.URL, Options{Out: &out}), &out
}

func (f *fake) connect(t *testing.T, url string, o Options) *Cluster {
	t.Helper()
	c, err := connect(&rest.Config{Host: url}, o)
	if err != nil {
		t.Fatal(err)
	}
	c.pause = time.Millisecond
	return c
}

// dry returns the same cluster for a dry run.
func (f *fake) dry(t *testing.T, c *Cluster) *Cluster {
	return f.connect(t, c.Host, Options{Out: c.out, DryRun: true})
}

// ServeHTTP answers.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := r.URL.Path
	isList := slices.ContainsFunc(kinds, func(k kind) bool { return strings.HasSuffix(path, "/"+k.plural) }) || strings.HasSuffix(path, "/gateways")
	namespace, _, _ := strings.Cut(after(path, "/namespaces/"), "/")
	body, _ := io.ReadAll(r.Body)
	// It is in the query, but of a deletion.
	dry := r.URL.Query().Get("dryRun") != "" || r.Method == http.MethodDelete && bytes.Contains(body, []byte(`"dryRun":["All"]`))
	if r.Method != http.MethodGet && !dry {
		f.changes = append(f.changes, r.Method+" "+path)
	}
	switch o := f.objects[path]; {
	case f.refuse[path] != 0:
		f.fail(w, f.refuse[path])
	case isList && f.missing[path]:
		f.fail(w, http.StatusNotFound)
	case isList:
		f.list(w, path, r.URL.Query().Get("labelSelector"))
	case r.Method == http.MethodGet:
		f.got(path)
		if o = f.objects[path]; o == nil {
			f.fail(w, http.StatusNotFound)
			return
		}
		f.send(w, o)
	case r.Method == http.MethodPatch:
		if strings.Count(path, "/") > 5 && namespace != "" && f.objects["/api/v1/namespaces/"+namespace] == nil {
			f.fail(w, http.StatusNotFound)
			return
		}
		f.apply(w, r, path, body, dry)
	case o == nil:
		f.fail(w, http.StatusNotFound)
	default:
		if !dry {
			delete(f.objects, path)
		}
		f.send(w, o)
	}
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

// apply puts the fields that are sent into an object, as a server-side apply does.
func (f *fake) apply(w http.ResponseWriter, r *http.Request, path string, body []byte, dry bool) {
	var sent map[string]any
	if r.Header.Get("Content-Type") != "application/apply-patch+yaml" || r.URL.Query().Get("fieldManager") != FieldManager || json.Unmarshal(body, &sent) != nil {
		f.fail(w, http.StatusBadRequest)
		return
	}
	var o map[string]any
	text, _ := json.Marshal(f.objects[path])
	_ = json.Unmarshal(text, &o)
	if o == nil {
		o = map[string]any{}
	}
	merge(o, sent)
	o["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": FieldManager, "operation": "Apply"}}
	if !dry {
		f.objects[path] = o
	}
	f.send(w, o)
}

func merge(into, from map[string]any) {
	for key, value := range from {
		inner, ok := value.(map[string]any)
		had, has := into[key].(map[string]any)
		if ok && has {
			merge(had, inner)
			continue
		}
		into[key] = value
	}
}

// list sends the objects of a collection, in all namespaces, that have the labels.
func (f *fake) list(w http.ResponseWriter, path, selector string) {
	group, plural := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/")+1:]
	items := []any{}
	for _, at := range slices.Sorted(maps.Keys(f.objects)) {
		rest, ok := strings.CutPrefix(at, group+"/")
		parts := strings.Split(rest, "/")
		if !ok || len(parts) < 2 || parts[len(parts)-2] != plural {
			continue
		}
		labels, _ := f.objects[at]["metadata"].(map[string]any)["labels"].(map[string]any)
		wanted := func(pair string) bool {
			name, value, _ := strings.Cut(pair, "=")
			return labels[name] == value
		}
		if selector == "" || !slices.ContainsFunc(strings.Split(selector, ","), func(p string) bool { return !wanted(p) }) {
			items = append(items, f.objects[at])
		}
	}
	f.send(w, map[string]any{"kind": "List", "apiVersion": "v1", "items": items})
}

func (f *fake) send(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (f *fake) fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reason := strings.ReplaceAll(http.StatusText(status), " ", "")
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"it is %s","code":%d}`, reason, reason, status)
}

// set puts an object there, with what is to be merged into it.
func (f *fake) set(path string, object map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects[path] == nil {
		f.objects[path] = map[string]any{}
	}
	merge(f.objects[path], object)
}
