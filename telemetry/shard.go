package telemetry

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// cacheLine keeps neighbours in memory from sharing what processors fight over; two
// lines, as they are fetched in pairs.
const cacheLine = 128

// shardPicker spreads the request path over a fixed number of shards such that a
// processor mostly meets its own: sync.Pool keeps what it is given with the processor
// that gave it. The pool may lose a token (the garbage collector empties it); then
// another one is made, and two processors may share a shard for a while.
type shardPicker struct {
	tokens sync.Pool
	next   atomic.Uint32
	n      uint32
}

// shardToken is a pooled shard number.
type shardToken struct{ shard uint32 }

// newShardPicker returns a picker among twice as many shards as there are processors.
func newShardPicker() *shardPicker {
	p := &shardPicker{n: uint32(2 * runtime.GOMAXPROCS(0))}
	p.tokens.New = func() any { return &shardToken{shard: (p.next.Add(1) - 1) % p.n} }
	return p
}

func (p *shardPicker) get() *shardToken  { return p.tokens.Get().(*shardToken) }
func (p *shardPicker) put(t *shardToken) { p.tokens.Put(t) }
