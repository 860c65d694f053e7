package router

import (
	"hash/maphash"
	"maps"
	"math/bits"
)

// cowMap is an immutable map from names. It is cut into shards, so that a copy with a
// few changes shares all but a few of them with the original.
type cowMap[V any] struct {
	// shards are a power of two in number; none at all in an empty map.
	shards []map[string]V
	size   int
}

const (
	// shardSize is how many entries a shard is made for. It is what a change copies.
	shardSize = 64
	// shardSlack is by how much the average may be off before all is cut anew.
	shardSlack = 4
)

var shardSeed = maphash.MakeSeed()

// get finds a name that is held as bytes, which is how hosts come.
func (m *cowMap[V]) get(name []byte) (value V, ok bool) {
	switch len(m.shards) {
	case 0:
		return value, false
	case 1:
		value, ok = m.shards[0][string(name)]
		return value, ok
	}
	value, ok = m.shards[maphash.Bytes(shardSeed, name)&uint64(len(m.shards)-1)][string(name)]
	return value, ok
}

// lookup finds a name.
func (m *cowMap[V]) lookup(name string) (value V, ok bool) {
	if len(m.shards) == 0 {
		return value, false
	}
	value, ok = m.shards[m.shardOf(name)][name]
	return value, ok
}

func (m *cowMap[V]) shardOf(name string) int {
	if len(m.shards) == 1 {
		return 0
	}
	return int(maphash.String(shardSeed, name) & uint64(len(m.shards)-1))
}

// each calls f for every entry, in no order.
func (m *cowMap[V]) each(f func(name string, value V)) {
	for _, shard := range m.shards {
		for name, value := range shard {
			f(name, value)
		}
	}
}

// cowEdit is a map that is being changed. The original stays as it was.
type cowEdit[V any] struct {
	cowMap[V]
	// owned says which shards are copies already; nil means that none is.
	owned []bool
}

// edit begins a changed copy, which is expected to grow by so many entries.
func (m *cowMap[V]) edit(growth int) *cowEdit[V] {
	e := &cowEdit[V]{cowMap: *m}
	if n := m.size + growth; n > shardSlack*shardSize*len(m.shards) || shardSlack*n < shardSize*(len(m.shards)-1) {
		e.reshard(n)
	}
	return e
}

// reshard cuts everything anew, for a number of entries.
func (e *cowEdit[V]) reshard(entries int) {
	count := 1 << bits.Len(uint(entries/shardSize))
	old := e.cowMap
	e.shards, e.owned = make([]map[string]V, count), make([]bool, count)
	for i := range e.shards {
		e.shards[i] = make(map[string]V, entries/count)
		e.owned[i] = true
	}
	old.each(func(name string, value V) { e.shards[e.shardOf(name)][name] = value })
}

// own returns the shard for a name, as a copy that may be changed.
func (e *cowEdit[V]) own(name string) map[string]V {
	if e.owned == nil {
		e.shards = append([]map[string]V(nil), e.shards...)
		e.owned = make([]bool, len(e.shards))
	}
	i := e.shardOf(name)
	if !e.owned[i] {
		e.shards[i] = maps.Clone(e.shards[i])
		e.owned[i] = true
	}
	return e.shards[i]
}

func (e *cowEdit[V]) set(name string, value V) {
	if e.size >= shardSlack*shardSize*len(e.shards) {
		e.reshard(2*e.size + 1)
	}
	shard := e.own(name)
	before := len(shard)
	shard[name] = value
	e.size += len(shard) - before
}

func (e *cowEdit[V]) delete(name string) {
	if _, ok := e.lookup(name); ok {
		delete(e.own(name), name)
		e.size--
	}
}
