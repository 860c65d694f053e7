package recent

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Options say what a Recorder may ask.
type Options struct {
	// Upstream returns the state of a cluster by its name; nil, and a nil result, leave it out
	// of failures. It is called from a goroutine of the Recorder's own.
	Upstream func(cluster string) *Upstream
}

// Recorder remembers one proxy's latest traffic. Its methods may be called from any goroutine.
type Recorder struct {
	options  Options
	sequence atomic.Uint64
	table    atomic.Pointer[router.Table]
	failures failures
	routes   routes
	taps     taps
	closed   sync.Once
}

// New starts a Recorder; Close ends it.
func New(o Options) *Recorder {
	r := &Recorder{options: o, taps: taps{over: make(chan struct{})}}
	r.routes.start(min(2*runtime.GOMAXPROCS(0), maxShards))
	r.failures.start(r)
	return r
}

// Publish tells which table is in force from now on.
func (r *Recorder) Publish(t *router.Table) {
	r.table.Store(t)
	r.routes.refresh()
}

// Complete remembers an exchange that has ended. shard is a number that the callers who run at
// the same time do not share, as far as possible; any number will do. It allocates nothing in
// the steady state, does not wait, and keeps nothing of ex.
func (r *Recorder) Complete(shard uint32, ex *proxy.Exchange) {
	r.routes.record(shard, ex)
	if failed(ex) {
		r.failures.record(ex)
	}
	if r.taps.list.Load() != nil {
		r.taps.offer(r, ex)
	}
}

// Close ends what the Recorder does on its own, and every tap. It may be called again.
func (r *Recorder) Close() {
	r.closed.Do(func() {
		r.failures.close()
		r.taps.close()
	})
}

// CompleteStream remembers a connection that carried bytes, if it failed.
func (r *Recorder) CompleteStream(st *proxy.Stream) {
	if st.Flags != 0 {
		r.failures.recordStream(st)
	}
}

func (r *Recorder) generation() uint64 {
	if t := r.table.Load(); t != nil {
		return t.Generation()
	}
	return 0
}
