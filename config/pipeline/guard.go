package pipeline

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

const (
	// ReasonCompilerFailed: the compiler panicked on an object. The object's last
	// version that it could take stays in force.
	ReasonCompilerFailed config.Reason = "CompilerFailed"
	// ReasonTableFailed: no table could be made, or it could not be put in force. The last one
	// stays in force.
	ReasonTableFailed config.Reason = "TableFailed"
)

// guard runs the compiler, the router, and what puts tables in force, so that a panic costs the object that
// causes it, and neither the process nor the other objects.
type guard struct {
	fresh   func() Compile
	log     *slog.Logger
	compile Compile // nil after a panic
	// inForce is what the compiler has been given, and lines where of it stands that
	// has moved in its file since.
	inForce *config.Keyed[*config.Object]
	lines   map[config.Key]int
	// refused are objects that the compiler panics on.
	refused map[config.Key]config.Condition
	// stuck says that there is no table for what is in force; nil normally.
	stuck *config.Condition
}

func newGuard(fresh func() Compile, log *slog.Logger) guard {
	return guard{
		fresh: fresh, log: log,
		inForce: config.NewKeyed(keyOf), lines: make(map[config.Key]int),
		refused: make(map[config.Key]config.Condition),
	}
}

// conditions are those of what the guard had to keep out.
func (g *guard) conditions() []config.Condition {
	all := slices.Collect(maps.Values(g.refused))
	if g.stuck != nil {
		all = append(all, *g.stuck)
	}
	return all
}

// apply compiles a change. It is not ok if not even what was in force compiles.
func (g *guard) apply(d config.Delta) (*router.Spec, []config.Condition, bool) {
	for _, o := range d.Set {
		delete(g.refused, o.Key)
	}
	whole := config.Delta{Set: d.Set, Moved: d.Moved}
	for _, key := range d.Removed {
		delete(g.refused, key)
		if g.inForce.Get(key) != nil {
			whole.Removed = append(whole.Removed, key)
		}
	}
	g.stuck = nil
	var got compiled
	var failed *failure
	if g.compile == nil {
		whole = g.everything(whole)
		_, failed = g.restart()
	}
	if failed == nil {
		for part := range parts(whole) {
			if got, failed = g.feed(part); failed != nil {
				break
			}
		}
	}
	if failed != nil {
		g.compile = nil
		g.note(whole)
		g.tell(failed, "compiling", "configuration")
		g.stick(ReasonCompilerFailed, "no table could be made of it", failed)
		return nil, nil, false
	}
	return got.spec, got.conditions, true
}

// everything takes a change into what should be in force, and returns all of that as
// one change for a compiler that has nothing yet.
func (g *guard) everything(d config.Delta) config.Delta {
	g.note(d)
	all := g.known()
	g.inForce.Clear()
	clear(g.lines)
	return all
}

// known returns what is in force as one change.
func (g *guard) known() (d config.Delta) {
	d.Set = slices.SortedFunc(g.inForce.All(), func(a, b *config.Object) int { return compareKeys(a.Key, b.Key) })
	for key, line := range g.lines {
		d.Moved = append(d.Moved, config.Place{Key: key, Line: line})
	}
	return d
}

// build makes a table. It is not ok if the router panics.
func (g *guard) build(spec *router.Spec, prev *router.Table) (t *router.Table, problems []router.Problem, ok bool) {
	if failure := survive(func() { t, problems = router.Build(spec, prev) }); failure != nil {
		g.tell(failure, "compiling", "configuration")
		g.stick(ReasonTableFailed, "no table could be made of it", failure)
		return nil, nil, false
	}
	return t, problems, true
}

// publish hands a table to whoever serves, or the last one again if that panics: some of them may
// serve the new one by then. It tells whether the new one is in force. last is nil where there is
// none yet.
func (g *guard) publish(next, last *router.Table, publish func(*router.Table)) bool {
	const doing = "putting a table in force"
	failure := survive(func() { publish(next) })
	if failure == nil {
		return true
	}
	g.tell(failure, doing, "configuration")
	g.stick(ReasonTableFailed, "its table could not be put in force", failure)
	if last == nil {
		return false
	}
	if failure := survive(func() { publish(last) }); failure != nil {
		g.tell(failure, doing, "the last one")
	}
	return false
}

// stick notes that there is no table for what should be in force, and what became of it.
func (g *guard) stick(reason config.Reason, what string, f *failure) {
	g.stuck = &config.Condition{
		Severity: config.Error, Reason: reason, Object: config.Key{Kind: "Configuration", Name: "table"},
		Message: fmt.Sprintf("%s (%v), so that the last one stays in force; undo the last change, and report this as a defect", what, f.value),
	}
}

// compiled is what a compiler returned.
type compiled struct {
	spec       *router.Spec
	conditions []config.Condition
}

// feed gives the compiler a change. After a panic its state cannot be trusted: a new
// one gets what is in force, and then the halves of the change, down to the object
// that is at fault.
func (g *guard) feed(d config.Delta) (compiled, *failure) {
	got, failed := g.run(g.compile, d)
	if failed == nil {
		g.note(d)
		return got, nil
	}
	g.refuse(d, failed)
	got, failed = g.restart()
	switch n := len(d.Set) + len(d.Removed); {
	case failed != nil || n == 0 || n == 1 && len(d.Moved) == 0:
		return got, failed
	case n == 1:
		return g.feed(config.Delta{Moved: d.Moved})
	}
	first, second := halve(d)
	if got, failed = g.feed(first); failed != nil {
		return got, failed
	}
	return g.feed(second)
}

// note keeps what the compiler has taken.
func (g *guard) note(d config.Delta) {
	for _, key := range d.Removed {
		g.inForce.Delete(key)
		delete(g.lines, key)
	}
	for _, o := range d.Set {
		g.inForce.Set(o)
		delete(g.lines, o.Key)
	}
	for _, p := range d.Moved {
		if g.inForce.Get(p.Key) != nil {
			g.lines[p.Key] = p.Line
		}
	}
}

// refuse keeps an object out if it is all that the change is about. One that cannot
// even be removed goes with the old compiler.
func (g *guard) refuse(d config.Delta, f *failure) {
	if len(d.Set)+len(d.Removed) != 1 {
		return
	}
	g.note(config.Delta{Removed: d.Removed})
	for _, o := range d.Set {
		g.tell(f, "compiling", o.Key.String())
		kept := "it is not in force"
		if g.inForce.Get(o.Key) != nil {
			kept = "its last version stays in force"
		}
		g.refused[o.Key] = config.Condition{
			Severity: config.Error, Reason: ReasonCompilerFailed, Object: o.Key, File: o.File, Line: o.Line,
			Message: fmt.Sprintf("the compiler failed on it (%v), so that %s; change it, and report this as a defect", f.value, kept),
		}
	}
}

// restart gives a new compiler everything that is in force.
func (g *guard) restart() (compiled, *failure) {
	c := g.fresh()
	g.compile = nil
	got, failed := g.run(c, g.known())
	if failed == nil {
		g.compile = c
	}
	return got, failed
}

func (g *guard) run(c Compile, d config.Delta) (got compiled, failed *failure) {
	failed = survive(func() { got.spec, got.conditions = c(d) })
	return got, failed
}

// tell has the log tell of a panic in doing something.
func (g *guard) tell(f *failure, doing, on string) {
	g.log.Error("panic while "+doing, "on", on, "panic", fmt.Sprint(f.value), "stack", string(f.stack))
}

// failure is a panic that was survived.
type failure struct {
	value any
	stack []byte
}

// survive runs f and returns its panic, nil if it had none.
func survive(f func()) (failed *failure) {
	defer func() {
		if value := recover(); value != nil {
			failed = &failure{value, debug.Stack()}
		}
	}()
	f()
	return nil
}

// halve cuts a change of several objects in two: removals come first.
func halve(d config.Delta) (first, second config.Delta) {
	if len(d.Removed) > 0 && len(d.Set) > 0 {
		return config.Delta{Removed: d.Removed}, config.Delta{Set: d.Set, Moved: d.Moved}
	}
	r, s := len(d.Removed)/2, len(d.Set)/2
	return config.Delta{Removed: d.Removed[:r], Set: d.Set[:s]}, config.Delta{Removed: d.Removed[r:], Set: d.Set[s:], Moved: d.Moved}
}

func keyOf(o *config.Object) config.Key { return o.Key }

func compareKeys(a, b config.Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group))
}
