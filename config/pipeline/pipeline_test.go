package pipeline

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// front is a front end small enough to see through: each object is a virtual host
// that answers with the text of its label v. "boom" makes it panic, "warn" gives a
// condition, "regex" an expression that the router cannot take, "nil" a spec that
// it panics on.
type front struct {
	objects map[config.Key]*config.Object
	lines   map[config.Key]int
	hosts   map[config.Key]*router.VirtualHost
	spec    *router.Spec
	// unremovable is the name of an object that makes it panic when it goes.
	unremovable string
	made        *int
}

func newFront(made *int, unremovable string) Compile {
	*made++
	f := &front{
		objects: make(map[config.Key]*config.Object), lines: make(map[config.Key]int),
		hosts: make(map[config.Key]*router.VirtualHost), unremovable: unremovable, made: made,
	}
	return f.compile
}

func (f *front) compile(d config.Delta) (*router.Spec, []config.Condition) {
	if len(d.Conditions) > 0 {
		panic("the sources' conditions are none of the compiler's business")
	}
	for _, key := range d.Removed {
		if f.objects[key] == nil {
			panic("removed what was never set: " + key.Name)
		}
		if key.Name == f.unremovable {
			panic("cannot remove")
		}
		delete(f.objects, key)
		delete(f.hosts, key)
		delete(f.lines, key)
	}
	for _, o := range d.Set {
		// What is half done when it panics must not be seen later.
		f.objects[o.Key], f.lines[o.Key], f.hosts[o.Key] = o, o.Line, host(o)
		if o.Labels["v"] == "boom" {
			panic("boom")
		}
	}
	for _, p := range d.Moved {
		f.lines[p.Key] = p.Line
	}
	if f.spec == nil || len(d.Set)+len(d.Removed) > 0 {
		f.spec = f.assemble()
	}
	return f.spec, f.conditions()
}

func host(o *config.Object) *router.VirtualHost {
	r := &router.Route{
		Object:      &router.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name},
		Field:       "http[0].match[0].uri.regex",
		RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 200, Body: []byte(o.Labels["v"])}},
	}
	if o.Labels["v"] == "regex" {
		r.Match.Path = router.StringMatch{Kind: router.MatchRegex, Value: "(["}
	}
	return &router.VirtualHost{Name: o.Name, Domains: []string{o.Name + ".example.com"}, Routes: []*router.Route{r}}
}

func (f *front) assemble() *router.Spec {
	table := &router.RouteTable{Name: "http.80", Port: 80}
	listeners := []*router.Listener{{Name: "http", Port: 80, Tables: []*router.RouteTable{table}}}
	for _, key := range slices.SortedFunc(maps.Keys(f.hosts), compareKeys) {
		table.VirtualHosts = append(table.VirtualHosts, f.hosts[key])
		if f.objects[key].Labels["v"] == "nil" {
			listeners = append(listeners, nil)
		}
	}
	return &router.Spec{Listeners: listeners}
}

func (f *front) conditions() (all []config.Condition) {
	for key, o := range f.objects {
		if o.Labels["v"] == "warn" {
			all = append(all, config.Condition{
				Severity: config.Warning, Reason: "Odd", Object: key, Field: "spec", Message: "it is odd",
				File: o.File, Line: f.lines[key],
			})
		}
	}
	return all
}

const manifest = `kind: VirtualService
metadata: {name: x}
spec:
  http:
  - match:
    - uri:
        regex: "(["
`

func key(name string) config.Key {
	return config.Key{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "default", Name: name}
}

// set parses "a=1 b=2" as objects in one file, ten lines each.
func set(names string) (d config.Delta) {
	for i, n := range strings.Fields(names) {
		name, value, _ := strings.Cut(n, "=")
		d.Set = append(d.Set, &config.Object{
			Key: key(name), Labels: map[string]string{"v": value}, Source: config.Plain(manifest),
			File: "routes.yaml", Line: 1 + 10*i,
		})
	}
	return d
}

func removed(names ...string) (d config.Delta) {
	for _, name := range names {
		d.Removed = append(d.Removed, key(name))
	}
	return d
}

// rig is a pipeline with all that it talks to.
type rig struct {
	*Pipeline
	t     *testing.T
	table *router.Table
	// published counts tables, made compilers.
	published, made int
	log             bytes.Buffer
}

func newRig(t *testing.T, unremovable string) *rig {
	r := &rig{t: t}
	now := time.Unix(1000, 0)
	r.Pipeline = New(Options{
		NewCompiler: func() Compile { return newFront(&r.made, unremovable) },
		Publish: func(table *router.Table) {
			r.table = table
			r.published++
		},
		Logger: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "stack" {
				return slog.Attr{}
			}
			return a
		}})),
		Now: func() time.Time {
			now = now.Add(time.Millisecond)
			return now
		},
	})
	return r
}

// serves checks what the published table has, as "a=1 b=2".
func (r *rig) serves(want string) {
	r.t.Helper()
	if got := answers(r.table); got != want {
		r.t.Errorf("the table serves %q, want %q", got, want)
	}
}

func answers(t *router.Table) string {
	var got []string
	for _, v := range t.Spec().Listeners[0].Tables[0].VirtualHosts {
		got = append(got, v.Name+"="+string(v.Routes[0].Direct.Body))
	}
	return strings.Join(got, " ")
}

// logged checks the lines written since it was last called.
func (r *rig) logged(want ...string) {
	r.t.Helper()
	got := strings.Split(strings.TrimSuffix(r.log.String(), "\n"), "\n")
	r.log.Reset()
	if len(got) == 1 && got[0] == "" {
		got = nil
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("logged:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// has checks the conditions, written as people read them.
func (r *rig) has(want ...string) {
	r.t.Helper()
	var got []string
	for _, c := range r.Conditions() {
		got = append(got, string(c.Severity)+" "+string(c.Reason)+" "+c.String())
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("conditions:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPublishesWhatChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	if s := r.Status(); s != (Status{}) || r.Conditions() != nil {
		t.Errorf("before anything, the status is %+v", s)
	}
	r.Apply(config.Delta{})
	r.serves("")
	r.Apply(set("b=1 a=1"))
	r.serves("a=1 b=1")
	r.Apply(config.Delta{Removed: []config.Key{key("b")}, Set: set("a=2").Set})
	r.serves("a=2")
	if r.published != 3 || r.made != 1 {
		t.Errorf("%d tables of %d compilers, want 3 of one", r.published, r.made)
	}
	// Nothing in these is for the table.
	r.Apply(config.Delta{})
	r.Apply(config.Delta{Moved: []config.Place{{Key: key("a"), Line: 7}}})
	r.Apply(config.Delta{Conditions: []config.Condition{{Severity: config.Error, Reason: "BadYAML", Object: config.Key{Kind: "File", Name: "x.yaml"}, Message: "not YAML"}}})
	if r.published != 3 {
		t.Errorf("%d tables, want still 3", r.published)
	}
	want := Status{
		Generation: 3, Objects: 1, Errors: 1, Reloads: 6,
		LastDuration: time.Millisecond, LastSuccess: time.Unix(1000, int64(12*time.Millisecond)),
	}
	if s := r.Status(); s != want {
		t.Errorf("status %+v\n  want %+v", s, want)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.Apply(set("a=1 b=warn"))
	r.logged(
		`level=INFO msg="configuration loaded" generation=1 objects=2 changed=2 removed=0 errors=0 warnings=1 duration=1ms`,
		`level=WARN msg="routes.yaml:11: VirtualService default/b: spec: it is odd" reason=Odd`)
	r.Apply(set("a=2"))
	r.logged(`level=INFO msg="configuration loaded" generation=2 objects=2 changed=1 removed=0 errors=0 warnings=1 duration=1ms`)
	r.Apply(config.Delta{Moved: []config.Place{{Key: key("b"), Line: 15}}})
	r.logged()
	r.has(`Warning Odd routes.yaml:15: VirtualService default/b: spec: it is odd`)
	r.Apply(removed("b"))
	r.logged(
		`level=INFO msg="configuration loaded" generation=3 objects=1 changed=0 removed=1 errors=0 warnings=0 duration=1ms`,
		`level=INFO msg="cleared: routes.yaml:15: VirtualService default/b: spec: it is odd" reason=Odd`)
	r.Apply(config.Delta{})
	r.logged()
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	var many []string
	for i := range maxTold + 5 {
		many = append(many, fmt.Sprintf("n%d=warn", i))
	}
	r.Apply(set(strings.Join(many, " ")))
	if n := strings.Count(r.log.String(), "\n"); n != maxTold+2 || !strings.HasSuffix(r.log.String(), "conditions=5\n") {
		t.Errorf("%d lines, the last %q", n, r.log.String()[strings.LastIndex(strings.TrimSpace(r.log.String()), "\n"):])
	}
	r.log.Reset()
	r.Apply(removed(strings.Fields(strings.ReplaceAll(strings.Join(many, " "), "=warn", ""))...))
	if n := strings.Count(r.log.String(), "\n"); n != maxTold+2 || !strings.HasSuffix(r.log.String(), "conditions=5\n") {
		t.Errorf("%d lines when they go", n)
	}
}

func TestRouterProblemsNameFileAndLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.Apply(set("a=1 b=regex"))
	const format = `Error NotRoutable routes.yaml:%d: VirtualService default/b: http[0].match[0].uri.regex: %s`
	if len(r.Conditions()) != 1 {
		t.Fatalf("conditions %v", r.Conditions())
	}
	message := r.Conditions()[0].Message
	r.has(fmt.Sprintf(format, 17, message))
	r.Apply(config.Delta{Set: set("a=2").Set, Moved: []config.Place{{Key: key("b"), Line: 21}}})
	r.has(fmt.Sprintf(format, 27, message))
	r.Apply(set("b=2"))
	r.has()
}

func TestPanicCostsOneObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.Apply(set("a=1 b=1 c=warn"))
	r.Apply(config.Delta{Moved: []config.Place{{Key: key("c"), Line: 31}}})
	r.log.Reset()
	r.Apply(set("b=boom"))
	r.serves("a=1 b=1 c=warn")
	const boom = `Error CompilerFailed routes.yaml:1: VirtualService default/b: the compiler failed on it (boom), so that its last version stays in force; change it, and report this as a defect`
	const odd = `Warning Odd routes.yaml:31: VirtualService default/c: spec: it is odd`
	r.has(boom, odd)
	if !strings.Contains(r.log.String(), `level=ERROR msg="panic while compiling" on="VirtualService default/b" panic=boom`) {
		t.Errorf("the panic is not in the log: %s", r.log.String())
	}
	// Others go on, and the condition stands.
	r.Apply(config.Delta{Set: set("a=2").Set, Moved: []config.Place{{Key: key("c"), Line: 31}}})
	r.serves("a=2 b=1 c=warn")
	r.has(boom, odd)
	r.Apply(set("b=3"))
	r.serves("a=2 b=3 c=warn")
	r.has(odd)
	r.Apply(set("d=boom"))
	r.Apply(removed("b", "d"))
	r.serves("a=2 c=warn")
	r.has(odd)
}

func TestPanicInTheFirstLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	var names, want []string
	for i := range 100 {
		if i == 17 || i == 83 {
			names = append(names, fmt.Sprintf("n%02d=boom", i))
			continue
		}
		names = append(names, fmt.Sprintf("n%02d=1", i))
		want = append(want, fmt.Sprintf("n%02d=1", i))
	}
	d := set(strings.Join(names, " "))
	d.Moved = []config.Place{{Key: key("n05"), Line: 1000}}
	r.Apply(d)
	r.serves(strings.Join(want, " "))
	if n := len(r.Conditions()); n != 2 || r.Status().Objects != 98 || r.Status().Generation != 1 {
		t.Errorf("%d conditions, status %+v", n, r.Status())
	}
	if r.made > 30 {
		t.Errorf("it took %d compilers to find two objects among a hundred", r.made)
	}
}

func TestPanicOnRemoval(t *testing.T) {
	t.Parallel()
	r := newRig(t, "b")
	r.Apply(set("a=1 b=1 c=1"))
	r.Apply(config.Delta{Removed: []config.Key{key("a"), key("b")}, Set: set("c=2").Set})
	r.serves("c=2")
	r.has()
}

func TestPanicInTheRouter(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.Apply(set("a=1"))
	r.Apply(set("a=2 b=nil"))
	r.serves("a=1")
	if c := r.Conditions(); len(c) != 1 || c[0].Reason != ReasonTableFailed || r.Status().Failures != 1 {
		t.Errorf("conditions %v, status %+v", c, r.Status())
	}
	r.Apply(removed("b"))
	r.serves("a=2")
	r.has()
	if s := r.Status(); s.Failures != 1 || s.Generation != 2 {
		t.Errorf("status %+v", s)
	}
}

// TestPanicInPublish: a table that whoever serves panics on costs nothing but itself: the last one
// is published again, since the new one may be in force in parts.
func TestPanicInPublish(t *testing.T) {
	t.Parallel()
	made := 0
	var published []string
	bad := "a=2"
	p := New(Options{
		NewCompiler: func() Compile { return newFront(&made, "") },
		Publish: func(t *router.Table) {
			published = append(published, answers(t))
			if answers(t) == bad {
				panic("half way")
			}
		},
	})
	p.Apply(set("a=1"))
	p.Apply(set("a=2"))
	if want := []string{"a=1", "a=2", "a=1"}; !slices.Equal(published, want) {
		t.Errorf("published are %q, want %q", published, want)
	}
	c, s := p.Conditions(), p.Status()
	if len(c) != 1 || c[0].Reason != ReasonTableFailed || c[0].Severity != config.Error || !strings.Contains(c[0].Message, "put in force (half way)") {
		t.Errorf("conditions are %v", c)
	}
	if s.Failures != 1 || s.Generation != 1 {
		t.Errorf("status is %+v", s)
	}
	// A change that has nothing to do with it takes the whole into force as soon as that can be.
	p.Apply(set("b=1"))
	if c, s := p.Conditions(), p.Status(); len(c) != 0 || s.Failures != 1 || s.Generation != 2 || published[len(published)-1] != "a=2 b=1" {
		t.Errorf("after the next change: conditions %v, status %+v, published %q", c, s, published)
	}

	// Neither the first table nor the last one may be possible.
	p = New(Options{NewCompiler: func() Compile { return newFront(&made, "") }, Publish: func(*router.Table) { panic("always") }})
	for range 2 {
		p.Apply(set("a=1"))
		if c := p.Conditions(); len(c) != 1 || c[0].Reason != ReasonTableFailed || p.Status().Generation != 0 {
			t.Errorf("conditions %v, status %+v", c, p.Status())
		}
	}
}

func TestUselessCompiler(t *testing.T) {
	t.Parallel()
	broken := true
	made := 0
	var table *router.Table
	p := New(Options{
		NewCompiler: func() Compile {
			if broken {
				return func(config.Delta) (*router.Spec, []config.Condition) { panic("always") }
			}
			return newFront(&made, "")
		},
		Publish: func(t *router.Table) { table = t },
	})
	p.Apply(set("a=1 b=1"))
	p.Apply(config.Delta{Moved: []config.Place{{Key: key("b"), Line: 40}}, Set: set("c=boom").Set})
	if c := p.Conditions(); table != nil || len(c) != 1 || c[0].Reason != ReasonCompilerFailed || p.Status().Failures != 2 {
		t.Errorf("table %v, conditions %v, status %+v", table, c, p.Status())
	}
	broken = false
	p.Apply(set("a=2"))
	if table == nil || answers(table) != "a=2 b=1" || len(p.Conditions()) != 1 || p.Conditions()[0].Object != key("c") {
		t.Errorf("table %v, conditions %v", table, p.Conditions())
	}
}

// TestReadersSeeWholeTables changes two objects together and wants no reader ever to
// see them apart.
func TestReadersSeeWholeTables(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[router.Table]
	made := 0
	p := New(Options{
		NewCompiler: func() Compile { return newFront(&made, "") },
		Publish:     func(t *router.Table) { current.Store(t) },
	})
	p.Apply(set("a=0 b=0"))
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				got := answers(current.Load())
				a, b, _ := strings.Cut(got, " ")
				if strings.TrimPrefix(a, "a=") != strings.TrimPrefix(b, "b=") {
					t.Errorf("a reader saw %q", got)
					return
				}
				if s := p.Status(); s.Warnings > s.Objects {
					t.Errorf("a reader saw %+v with %d conditions", s, len(p.Conditions()))
					return
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 300 {
				n := w*1000 + i
				p.Apply(set(fmt.Sprintf("a=%d b=%d", n, n)))
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if s := p.Status(); s.Generation != 601 || s.Reloads != 601 {
		t.Errorf("status %+v", s)
	}
}

// TestPublishesSecrets: a Secret that comes, or is another one, is published though no
// listener and no cluster is another than before.
func TestPublishesSecrets(t *testing.T) {
	t.Parallel()
	listeners := []*router.Listener{{Name: "a"}}
	spec := &router.Spec{Listeners: listeners}
	var published []*router.Table
	p := New(Options{
		NewCompiler: func() Compile {
			return func(config.Delta) (*router.Spec, []config.Condition) { return spec, nil }
		},
		Publish: func(table *router.Table) { published = append(published, table) },
	})
	p.Apply(set("a=1"))
	for _, secrets := range [][]*router.Secret{{{Name: "default/web"}}, {{Name: "default/web"}}, nil} {
		before := len(published)
		spec = &router.Spec{Listeners: listeners, Secrets: secrets}
		p.Apply(set("a=2"))
		if len(published) != before+1 || len(published[before].Spec().Secrets) != len(secrets) {
			t.Errorf("%d tables came of another Secret, want one with it", len(published)-before)
		}
	}
}

// TestPublishesTelemetry: so is another plan of what is told of the traffic.
func TestPublishesTelemetry(t *testing.T) {
	t.Parallel()
	listeners := []*router.Listener{{Name: "a"}}
	spec := &router.Spec{Listeners: listeners}
	var published []*router.Table
	p := New(Options{
		NewCompiler: func() Compile {
			return func(config.Delta) (*router.Spec, []config.Condition) { return spec, nil }
		},
		Publish: func(table *router.Table) { published = append(published, table) },
	})
	p.Apply(set("a=1"))
	plan := &router.Telemetry{}
	for _, next := range []*router.Telemetry{plan, plan, nil} {
		spec = &router.Spec{Listeners: listeners, Telemetry: next}
		p.Apply(set("a=2"))
	}
	if len(published) != 3 || published[1].Spec().Telemetry != plan || published[2].Spec().Telemetry != nil {
		t.Errorf("%d tables came of two other plans", len(published)-1)
	}
}
