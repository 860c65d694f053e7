package pipeline

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// Compile takes a change and returns the whole Spec with all conditions of the
// objects it has been given so far, at the lines where they now stand. Parts of the
// Spec that did not change keep their pointers; if nothing did, so may the Spec. The
// Delta's own Conditions are not passed to it.
type Compile func(config.Delta) (*router.Spec, []config.Condition)

// Options are what a Pipeline works with. NewCompiler and Publish are required.
type Options struct {
	// NewCompiler returns a compiler that has seen no object. It is called once,
	// and again after a compiler has panicked.
	NewCompiler func() Compile
	// Publish hands a table to whoever serves. It is called during Apply, one call
	// at a time, first for the first Apply and then whenever there is another table. Where
	// it panics, it is called with the last table again.
	Publish func(*router.Table)
	// Logger gets a line for each reload and each condition that comes or goes; nil
	// discards them.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Pipeline is the way from objects to a published table. Its methods may be called
// from any number of goroutines.
type Pipeline struct {
	opt Options
	log *slog.Logger

	// mu lets one Apply run at a time.
	mu    sync.Mutex
	guard guard
	lines locator
	table *router.Table
	// compiled are the compiler's conditions, problems the router's.
	compiled []config.Condition
	problems []router.Problem

	state atomic.Pointer[state]
}

// state is what readers see: all of one reload.
type state struct {
	status     Status
	conditions []config.Condition
}

// New returns a Pipeline that has published nothing.
func New(opt Options) *Pipeline {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	p := &Pipeline{opt: opt, log: opt.Logger, guard: newGuard(opt.NewCompiler, opt.Logger)}
	p.state.Store(&state{})
	return p
}

// Apply takes a change as far as it goes: when it returns, the table that follows
// from it has been published. Where nothing follows, nothing is.
func (p *Pipeline) Apply(d config.Delta) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := p.opt.Now()
	old := p.state.Load()

	ok := true
	if p.table == nil || len(d.Set)+len(d.Removed)+len(d.Moved) > 0 {
		ok = p.compile(d)
	}
	conditions := join(d.Conditions, p.compiled, p.guard.conditions(),
		p.lines.locate(p.problems, p.guard.inForce, p.guard.lines))

	now := p.opt.Now()
	next := &state{conditions: conditions, status: old.status.next(conditions, p.guard.inForce.Len(), now.Sub(start))}
	if p.table != nil {
		next.status.Generation = p.table.Generation()
	}
	if ok {
		next.status.LastSuccess = now
	} else {
		next.status.Failures++
	}
	p.state.Store(next)
	p.report(old, next, d)
}

// compile brings a change into force, and says whether it could.
func (p *Pipeline) compile(d config.Delta) bool {
	spec, found, ok := p.guard.apply(d)
	if !ok {
		return false
	}
	if p.table == nil || !same(p.table.Spec(), spec) {
		table, problems, ok := p.guard.build(spec, p.table)
		if !ok || !p.guard.publish(table, p.table, p.opt.Publish) {
			return false
		}
		p.table, p.problems = table, problems
	}
	p.compiled = found
	return true
}

// same says whether two specs serve the same.
func same(a, b *router.Spec) bool {
	return a == b || slices.Equal(a.Listeners, b.Listeners) && slices.Equal(a.Clusters, b.Clusters) && slices.Equal(a.Secrets, b.Secrets) && a.Telemetry == b.Telemetry
}

// Conditions returns everything that is wrong with the configuration, in order of
// file and line. The caller must not change it.
func (p *Pipeline) Conditions() []config.Condition { return p.state.Load().conditions }

// Status returns figures about the reloads so far.
func (p *Pipeline) Status() Status { return p.state.Load().status }
