package file

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

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// follower is a consumer of deltas that checks each and keeps what they add up to.
type follower struct {
	t    testing.TB
	mu   sync.Mutex
	news chan struct{}

	objects    map[config.Key]*config.Object
	lines      map[config.Key]int
	conditions []config.Condition
	deltas     []config.Delta
	// removed counts the keys that were ever taken away.
	removed int
}

// follow starts a Watch that ends with the test, and waits for the first load.
func follow(t testing.TB, opt Options) *follower {
	t.Helper()
	f := newFollower(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Watch(ctx, opt, f.apply) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v", err)
		}
	})
	<-f.news
	return f
}

func newFollower(t testing.TB) *follower {
	return &follower{
		t: t, news: make(chan struct{}, 1),
		objects: make(map[config.Key]*config.Object), lines: make(map[config.Key]int),
	}
}

func (f *follower) apply(d config.Delta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.deltas) > 0 && len(d.Set)+len(d.Removed)+len(d.Moved) == 0 && slices.Equal(d.Conditions, f.conditions) {
		f.t.Error("a delta without a change")
	}
	for _, o := range d.Set {
		if f.objects[o.Key] == o {
			f.t.Errorf("%v is set and did not change", o.Key)
		}
		f.objects[o.Key], f.lines[o.Key] = o, o.Line
	}
	for _, key := range d.Removed {
		if f.objects[key] == nil {
			f.t.Errorf("%v is removed and was not there", key)
		}
		delete(f.objects, key)
		delete(f.lines, key)
		f.removed++
	}
	for _, p := range d.Moved {
		if f.objects[p.Key] == nil {
			f.t.Errorf("%v has moved and is not there", p.Key)
		}
		f.lines[p.Key] = p.Line
	}
	f.conditions = d.Conditions
	f.deltas = append(f.deltas, d)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// names returns "name=value" for each object, in order; value is its label v.
func (f *follower) names() string {
	var names []string
	for key, o := range f.objects {
		names = append(names, key.Name+"="+o.Labels["v"])
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// eventually waits until what the deltas add up to is as wanted.
func (f *follower) eventually(want string, is func() bool) {
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
			f.t.Fatalf("waited in vain for %s; there is %q, conditions %v", want, f.names(), f.conditions[:min(len(f.conditions), 3)])
		}
	}
}

// wants waits until the objects are those, as names writes them.
func (f *follower) wants(names string) {
	f.t.Helper()
	f.eventually(names, func() bool { return f.names() == names })
}

// wantsReasons waits until the conditions have these reasons, in order.
func (f *follower) wantsReasons(want ...config.Reason) []config.Condition {
	f.t.Helper()
	var got []config.Condition
	f.eventually(fmt.Sprint(want), func() bool {
		got = f.conditions
		return slices.EqualFunc(got, want, func(c config.Condition, r config.Reason) bool { return c.Reason == r })
	})
	return got
}

// losses returns how many objects were ever taken away.
func (f *follower) losses() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.removed
}

// seen returns the deltas since the first n.
func (f *follower) seen(n int) []config.Delta {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.deltas[n:])
}

// object is the text of an object with that name and label.
func object(name, value string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: '" + name +
		"'\n  labels: {v: '" + value + "'}\nspec:\n  hosts: [" + name + ".example.com]\n"
}

// objects joins documents: "a=1 b=2" makes two.
func objects(names string) string {
	var docs []string
	for _, n := range strings.Fields(names) {
		name, value, _ := strings.Cut(n, "=")
		docs = append(docs, object(name, value))
	}
	return strings.Join(docs, "---\n")
}

// write writes a file as most programs do: truncate, then write.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replace writes a file in one step.
func replace(t testing.TB, path, text string) {
	t.Helper()
	write(t, path+".tmp", text)
	must(t, os.Rename(path+".tmp", path))
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loaded returns what Load gives, as names writes it.
func loaded(t testing.TB, paths ...string) string {
	t.Helper()
	d, err := Load(paths...)
	must(t, err)
	f := newFollower(t)
	f.apply(d)
	return f.names()
}

const broken = "apiVersion: v1\nkind: [unclosed\n"

func TestFirstLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml":           objects("a=1 b=2"),
		"deep/er/c.yml":    objects("c=3"),
		"d.json":           `{"apiVersion":"v1","kind":"Service","metadata":{"name":"d","labels":{"v":"4"}}}`,
		"list.YAML":        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: e, labels: {v: '5'}}\n",
		".hidden.yaml":     objects("x=1"),
		".git/config.yaml": objects("x=2"),
		".a.yaml.swp":      "binary",
		"a.yaml~":          objects("x=3"),
		"#a.yaml#":         objects("x=4"),
		"notes.txt":        "no configuration",
		"comment.yaml":     "# nothing here\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	const want = "a=1 b=2 c=3 d=4 e=5"
	f := follow(t, Options{Dirs: []string{dir}})
	if got := f.names(); got != want || len(f.deltas) != 1 || len(f.conditions) != 0 {
		t.Errorf("first load gave %q, %d deltas, conditions %v; want %q in one", got, len(f.deltas), f.conditions, want)
	}
	if got := loaded(t, dir); got != want {
		t.Errorf("Load gave %q, want %q", got, want)
	}
	for _, o := range f.objects {
		if !strings.HasPrefix(o.File, dir) || o.Line < 1 {
			t.Errorf("%v is said to stand in %s:%d", o.Key, o.File, o.Line)
		}
	}
}

func TestFirstDeltaComesFromNothing(t *testing.T) {
	t.Parallel()
	f := follow(t, Options{Dirs: []string{t.TempDir()}})
	if len(f.deltas) != 1 || len(f.objects)+len(f.conditions) != 0 {
		t.Errorf("an empty folder gave %+v", f.deltas)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	write(t, a, objects("a=2"))
	f.wants("a=2")
	write(t, b, objects("b=1"))
	f.wants("a=2 b=1")
	// By rename, as most editors write.
	write(t, a+".tmp", objects("a=3 c=1"))
	must(t, os.Rename(a+".tmp", a))
	f.wants("a=3 b=1 c=1")
	must(t, os.Remove(b))
	f.wants("a=3 c=1")
	// The same size in the same tick.
	for i := range 10 {
		write(t, a, objects(fmt.Sprintf("a=%d c=1", i)))
	}
	f.wants("a=9 c=1")
	must(t, os.Rename(a, filepath.Join(dir, "z.txt")))
	f.wants("")
}

func TestOnlyWhatChangedIsSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a.yaml")
	write(t, a, objects("a=1 b=1 c=1 d=1"))
	write(t, filepath.Join(dir, "b.yaml"), objects("e=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	// A touch and a rewrite of the same text are no change; the edit behind them is.
	must(t, os.Chtimes(a, time.Time{}, time.Now().Add(time.Hour)))
	replace(t, a, objects("a=1 b=1 c=1 d=1"))
	replace(t, a, objects("a=1 b=2 c=1 d=1"))
	f.wants("a=1 b=2 c=1 d=1 e=1")
	replace(t, a, "# A comment moves all.\n\n"+objects("a=1 b=2 c=1 d=1"))
	f.eventually("moved lines", func() bool { return f.lines[key("d")] == 3+3*8 })
	deltas := f.seen(1)
	if len(deltas) != 2 || len(deltas[0].Set) != 1 || len(deltas[0].Moved) != 0 || len(deltas[1].Set) != 0 || len(deltas[1].Moved) != 4 {
		t.Errorf("want one object set, then four moved; got %+v", deltas)
	}
}

func key(name string) config.Key {
	return config.Key{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "default", Name: name}
}

func TestListItemsKeepTheirPointers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	list := func(v int) string {
		text := "apiVersion: v1\nkind: List\nitems:\n"
		for _, name := range []string{"a", "b", "c"} {
			value := 1
			if name == "b" {
				value = v
			}
			text += fmt.Sprintf("- apiVersion: v1\n  kind: Service\n  metadata:\n    name: %s\n    labels: {v: '%d'}\n", name, value)
		}
		return text
	}
	write(t, path, list(1))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	replace(t, path, list(2))
	f.wants("a=1 b=2 c=1")
	if d := f.seen(1); len(d) != 1 || len(d[0].Set) != 1 {
		t.Errorf("one item of a List changed, and %+v came", d)
	}
}

func TestBrokenFileKeepsWhatItGave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a.yaml")
	write(t, a, objects("a=1 b=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	write(t, a, objects("a=2")+"---\n"+broken)
	conditions := f.wantsReasons(ReasonKept, config.BadYAML)
	if c := conditions[1]; c.File != a || c.Line < 9 || c.Line > 12 {
		t.Errorf("the condition stands at %s:%d, want %s:10 or so", c.File, c.Line, a)
	}
	f.wants("a=1 b=1")
	write(t, a, objects("a=3"))
	f.wants("a=3")
	f.wantsReasons()
	// A new file that is broken gives what parses.
	write(t, filepath.Join(dir, "n.yaml"), broken+"---\n"+objects("n=1"))
	f.wants("a=3 n=1")
	f.wantsReasons(config.BadYAML)
}

func TestObjectWithAnErrorHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a.yaml")
	write(t, a, objects("a=1 b=1 c=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	bad := strings.Replace(object("b", "2"), "'2'", "2", 1)
	replace(t, a, objects("a=2")+"---\n"+bad+"---\n"+objects("c=2 d=1"))
	f.wants("a=2 b=1 c=2 d=1")
	if c := f.wantsReasons(config.BadMetadata)[0]; c.Line != 13 || !strings.HasSuffix(c.Message, "; its last version stays in force") {
		t.Errorf("the condition says %v", c)
	}
	replace(t, a, objects("a=3")+"---\n"+bad+"---\n"+objects("c=2"))
	f.wants("a=3 b=1 c=2")
	f.wantsReasons(config.BadMetadata)
	// With another version that is in order, and then with none.
	replace(t, a, objects("a=3 b=3")+"---\n"+bad)
	f.wants("a=3 b=3")
	replace(t, a, objects("a=3"))
	f.wants("a=3")
	f.wantsReasons()
	for _, d := range f.seen(1) {
		if slices.Contains(d.Removed, key("b")) && len(d.Conditions) > 0 {
			t.Errorf("an object went with its error: %+v", d)
		}
	}
}

func TestEmptyFileKeepsAndCommentClears(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a.yaml")
	write(t, a, objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	write(t, a, "")
	f.wantsReasons(ReasonEmpty)
	f.wants("a=1")
	write(t, a, "# nothing any more\n")
	f.wants("")
	f.wantsReasons()
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml"), filepath.Join(dir, "c.yaml")
	write(t, b, objects("x=b other=1"))
	write(t, c, objects("x=c"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	f.wants("other=1 x=b")
	for _, d := range f.wantsReasons(ReasonDuplicate) {
		if d.File != c || d.Line != 1 || d.Object != key("x") || !strings.Contains(d.Message, b+":1") {
			t.Errorf("the condition should name %s:1 and %s:1: %v", c, b, d)
		}
	}
	write(t, a, objects("y=1 x=a"))
	f.wants("other=1 x=a y=1")
	f.wantsReasons(ReasonDuplicate, ReasonDuplicate)
	must(t, os.Remove(a))
	f.wants("other=1 x=b")
	must(t, os.Remove(b))
	f.wants("x=c")
	f.wantsReasons()
	write(t, c, objects("x=1 x=2 x=1"))
	f.wants("x=1")
	twice := f.wantsReasons(ReasonDuplicate, ReasonDuplicate)
	if twice[0].Line != 9 || twice[0].Severity != config.Error || twice[1].Severity != config.Warning {
		t.Errorf("want an error at line 9 and a warning for equal text, got %v", twice)
	}
}

func TestTooLargeIsUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := filepath.Join(dir, "a.yaml")
	write(t, a, objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1, MaxFileSize: 200})
	write(t, a, objects("a=2 b=1 c=1"))
	f.wantsReasons(ReasonUnreadable)
	f.wants("a=1")
	write(t, a, objects("a=3"))
	f.wants("a=3")
	f.wantsReasons()
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("the superuser may read everything")
	}
	dir := t.TempDir()
	a, sub := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "sub")
	write(t, a, objects("a=1"))
	write(t, filepath.Join(sub, "b.yaml"), objects("b=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	must(t, os.Chmod(a, 0))
	f.wantsReasons(ReasonUnreadable)
	must(t, os.Chmod(sub, 0))
	f.wantsReasons(ReasonUnreadable, ReasonUnreadable)
	f.wants("a=1 b=1")
	must(t, os.Chmod(a, 0o644))
	must(t, os.Chmod(sub, 0o755))
	f.wantsReasons()
	write(t, filepath.Join(sub, "b.yaml"), objects("b=2"))
	f.wants("a=1 b=2")
	if n := f.losses(); n != 0 {
		t.Errorf("%d objects were taken away", n)
	}
}

// A folder, or one above it, that becomes readable is noticed where it stands.
func TestWayIsOpened(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("the superuser may read everything")
	}
	for _, name := range []string{"above", "above/conf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "above/conf")
			write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
			must(t, os.Chmod(filepath.Join(top, name), 0))
			defer os.Chmod(filepath.Join(top, name), 0o755)
			f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
			f.wantsReasons(ReasonUnreadable)
			must(t, os.Chmod(filepath.Join(top, name), 0o755))
			f.wants("a=1")
			write(t, filepath.Join(dir, "a.yaml"), objects("a=2"))
			f.wants("a=2")
			f.wantsReasons()
		})
	}
}

func TestObjectMovesBetweenFilesInOneStep(t *testing.T) {
	t.Parallel()
	for range 20 {
		if took := moveInOneStep(t, t.TempDir()); took < quiet/2 || t.Failed() {
			return
		}
	}
	t.Skip("this machine is too busy to write two files without a long pause")
}

// moveInOneStep moves objects between files, and returns how long that took. If it took longer
// than a watcher waits, what it went through does not count.
func moveInOneStep(t *testing.T, dir string) (took time.Duration) {
	t.Helper()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, objects("x=1 y=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	began := time.Now()
	replace(t, b, objects("x=2"))
	replace(t, a, objects("y=1"))
	took = time.Since(began)
	f.wants("x=2 y=1")
	began = time.Now()
	must(t, os.Rename(b, filepath.Join(dir, "c.yaml")))
	took = max(took, time.Since(began))
	f.eventually("the new file", func() bool { return strings.HasSuffix(f.objects[key("x")].File, "c.yaml") })
	for _, d := range f.seen(0) {
		if len(d.Removed)+len(d.Conditions) > 0 && took < quiet/2 {
			t.Errorf("moving an object went through %+v", d)
		}
	}
	return took
}

func TestSlowWriterIsNeverSeenHalfWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("n%02d=1", i))
	}
	write(t, path, objects(strings.Join(names, " ")))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	for round := range 5 {
		names[59] = fmt.Sprintf("n59=round%d", round)
		before := f.losses()
		pause := writeSlowly(t, path, names)
		f.wants(strings.Join(names, " "))
		if n := f.losses() - before; n == 0 {
			return
		} else if pause < lossQuiet/2 {
			t.Fatalf("%d objects were taken away while the file was being written", n)
		}
	}
	t.Skip("this machine is too busy to write without long pauses")
}

// writeSlowly writes objects one by one, over 200 ms or so, and returns the longest
// time between two writes.
func writeSlowly(t *testing.T, path string, names []string) (pause time.Duration) {
	out, err := os.Create(path)
	must(t, err)
	last := time.Now()
	for _, name := range names {
		_, err := out.WriteString(objects(name) + "---\n")
		must(t, err)
		pause, last = max(pause, time.Since(last)), time.Now()
		time.Sleep(3 * time.Millisecond)
	}
	must(t, out.Close())
	return pause
}

func TestDelayIsBoundedUnderConstantRewriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, objects("a=0"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	written := 0
	// As a rule that takes 200 ms; without a bound on the delay nothing would ever come.
	for until := time.Now().Add(30 * time.Second); len(f.seen(1)) < 4; {
		if time.Now().After(until) {
			t.Fatalf("%d times of rewriting gave %d deltas, want one every 50 ms or so", written, len(f.seen(1)))
		}
		written++
		replace(t, path, objects(fmt.Sprintf("a=%d", written)))
		time.Sleep(3 * time.Millisecond)
	}
	f.wants(fmt.Sprintf("a=%d", written))
}

// run runs a watcher that a test made, until the test ends.
func run(t *testing.T, w *watcher) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// notified returns a notifier that ends with the test, after what was started later.
func notified(t *testing.T, in *inbox) *notifier {
	t.Helper()
	n, err := newNotifier(in)
	must(t, err)
	t.Cleanup(n.close)
	return n
}
