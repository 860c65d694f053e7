package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme/autocert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
)

// written is an API server that keeps objects that are written, each under its path.
type written struct {
	mu      sync.Mutex
	version int
	objects map[string]map[string]any
	// asked are the methods and paths that were asked for.
	asked []string
	// forbid has everything forbidden; meddle is called before each PUT.
	forbid bool
	meddle func()
}

func newWritten(t *testing.T) (*written, *Cluster) {
	t.Helper()
	w := &written{objects: map[string]map[string]any{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	c, err := New(Options{REST: &rest.Config{Host: server.URL}, Namespace: "edge"})
	if err != nil {
		t.Fatal(err)
	}
	return w, c
}

func (w *written) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	var o map[string]any
	if text, _ := io.ReadAll(r.Body); len(text) > 0 && r.Method != http.MethodDelete {
		if err := json.Unmarshal(text, &o); err != nil {
			w.refuse(out, 400, "BadRequest")
			return
		}
	}
	path := r.URL.Path
	if r.Method == http.MethodPost {
		path += "/" + metadataOf(o)["name"].(string)
	}
	have := w.objects[path]
	switch {
	case w.forbid:
		w.refuse(out, 403, "Forbidden")
	case r.Method == http.MethodPost && have != nil:
		w.refuse(out, 409, "AlreadyExists")
	case r.Method != http.MethodPost && have == nil:
		w.refuse(out, 404, "NotFound")
	case r.Method == http.MethodDelete:
		delete(w.objects, path)
		fmt.Fprint(out, "{}")
	case r.Method == http.MethodGet:
		w.answer(out, have)
	default:
		if w.meddle != nil && have != nil {
			w.meddle()
			w.version++
			metadataOf(have)["resourceVersion"] = fmt.Sprint(w.version)
		}
		if have != nil && metadataOf(have)["resourceVersion"] != metadataOf(o)["resourceVersion"] {
			w.refuse(out, 409, "Conflict")
			return
		}
		w.version++
		metadataOf(o)["resourceVersion"] = fmt.Sprint(w.version)
		w.objects[path] = o
		w.answer(out, o)
	}
}

func metadataOf(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }

func (w *written) answer(out http.ResponseWriter, o map[string]any) {
	out.Header().Set("Content-Type", "application/json")
	json.NewEncoder(out).Encode(o) //nolint:errcheck // the client sees
}

func (w *written) refuse(out http.ResponseWriter, code int, reason string) {
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(code)
	fmt.Fprintf(out, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","reason":%q,"code":%d}`, reason, code)
}

// Entries are Secrets of their own, which need no more than their names to be known.
func TestACMEStore(t *testing.T) {
	t.Parallel()
	w, c := newWritten(t)
	s := c.ACME("istio=ingressgateway https://ca.example")
	ctx := t.Context()
	if _, err := s.Get(ctx, "shop.example.com"); err != autocert.ErrCacheMiss { //nolint:errorlint // autocert compares so
		t.Errorf("nothing is there, but Get says %v", err)
	}
	for _, data := range []string{"one", "two"} {
		if err := s.Put(ctx, "shop.example.com", []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(ctx, "shop.example.com"); err != nil || string(got) != data {
			t.Errorf("got %q, %v; want %q", got, err, data)
		}
	}
	if _, err := c.ACME("istio=egressgateway https://ca.example").Get(ctx, "shop.example.com"); err != autocert.ErrCacheMiss { //nolint:errorlint // as above
		t.Errorf("another gateway sees it: %v", err)
	}
	o := w.objects["/api/v1/namespaces/edge/secrets/"+s.name("shop.example.com")]
	if o["type"] != "Opaque" || metadataOf(o)["labels"].(map[string]any)["app.kubernetes.io/managed-by"] != "sluice" {
		t.Errorf("the Secret is %v", o["metadata"])
	}
	for range 2 {
		if err := s.Delete(ctx, "shop.example.com"); err != nil {
			t.Error(err)
		}
	}
	for _, asked := range w.asked {
		if strings.HasSuffix(asked, "/secrets") && !strings.HasPrefix(asked, "POST") {
			t.Errorf("%s: Secrets were listed", asked)
		}
	}
}

// Of those who create the same entry at the same time, one does; all see that one.
func TestACMEStoreCreate(t *testing.T) {
	t.Parallel()
	_, c := newWritten(t)
	var all sync.WaitGroup
	var seen sync.Map
	for i := range 10 {
		all.Go(func() {
			s := c.ACME("x")
			if err := s.Create(t.Context(), "acme_account+key", []byte{byte('a' + i)}); err != nil {
				t.Error(err)
			}
			data, err := s.Get(t.Context(), "acme_account+key")
			if err != nil {
				t.Error(err)
			}
			seen.Store(string(data), true)
		})
	}
	all.Wait()
	n := 0
	seen.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d accounts were seen", n)
	}
}

// A write goes by the version that was read, and is tried again where another was faster.
func TestACMEStoreConflict(t *testing.T) {
	t.Parallel()
	w, c := newWritten(t)
	s := c.ACME("x")
	if err := s.Put(t.Context(), "shop.example.com", []byte("one")); err != nil {
		t.Fatal(err)
	}
	left := 2
	w.meddle = func() {
		if left--; left == 0 {
			w.meddle = nil
		}
	}
	if err := s.Put(t.Context(), "shop.example.com", []byte("two")); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Get(t.Context(), "shop.example.com"); string(got) != "two" {
		t.Errorf("the entry is %q", got)
	}
	w.meddle = func() {}
	if err := s.Put(t.Context(), "shop.example.com", []byte("three")); !apierrors.IsConflict(err) {
		t.Errorf("a write that never gets through says %v", err)
	}
}

// What cannot be written says why, and never what.
func TestACMEStoreRefusals(t *testing.T) {
	t.Parallel()
	w, c := newWritten(t)
	s := c.ACME("x")
	private := []byte("PRIVATE")
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	check(s.Put(t.Context(), "big", bytes.Repeat(private, maxACMEEntry)), "takes 524288")
	check(s.Create(t.Context(), "big", bytes.Repeat(private, maxACMEEntry)), "takes 524288")
	path := "/api/v1/namespaces/edge/secrets/" + s.name("theirs")
	w.objects[path] = map[string]any{"metadata": map[string]any{"name": s.name("theirs")}, "data": map[string]any{"entry": "b25l"}}
	check(s.Put(t.Context(), "theirs", private), "is not the gateway's")
	w.forbid = true
	for _, err := range []error{s.Put(t.Context(), "a", private), s.Create(t.Context(), "a", private), s.Delete(t.Context(), "a")} {
		check(err, "get, create, update and delete for Secrets in the namespace edge")
	}
	_, err := s.Get(t.Context(), "a")
	check(err, "rbac.acme=true")
	if errors.Is(err, autocert.ErrCacheMiss) {
		t.Error("what may not be read is not missing: it would be ordered again")
	}
}

// Names are good for Kubernetes, whatever the entry's.
func TestACMEStoreNames(t *testing.T) {
	t.Parallel()
	s := (&Cluster{}).ACME("x")
	seen := map[string]bool{}
	for _, key := range []string{"shop.example.com", "shop-example.com", "SHOP.example.com", "shop.example.com+rsa", "acme_account+key", "*.x", "", "...", strings.Repeat("long.", 60), "bücher.example"} {
		name := s.name(key)
		if problems := validation.IsDNS1123Subdomain(name); problems != nil || seen[name] {
			t.Errorf("%q is named %q: %v, seen %v", key, name, problems, seen[name])
		}
		seen[name] = true
	}
}

// One of two replicas leads; when it ends, the other does, without waiting for the Lease's end.
func TestACMELeads(t *testing.T) {
	t.Parallel()
	_, c := newWritten(t)
	a, b := c.ACME("x"), c.ACME("x")
	endA := lead(t, a)
	awaitLeader(t, a)
	lead(t, b)
	if b.Leads() {
		t.Error("both lead")
	}
	endA()
	if a.Leads() {
		t.Error("it leads after its end")
	}
	begun := time.Now()
	awaitLeader(t, b)
	if waited := time.Since(begun); waited >= leaseDuration {
		t.Errorf("the other waited for %v", waited)
	}
}

// lead has a replica order, until the test ends or what is returned is called.
func lead(t *testing.T, s *ACMEStore) (end func()) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.Lead(ctx)
		close(ended)
	}()
	end = func() {
		stop()
		<-ended
	}
	t.Cleanup(end)
	return end
}

func awaitLeader(t *testing.T, s *ACMEStore) {
	t.Helper()
	for until := time.Now().Add(leaseDuration + 40*time.Second); !s.Leads(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not lead")
		}
	}
}
