package config

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// Keyed is a set of things that know the keys of objects, such as these themselves.
type Keyed[T comparable] = KeyedBy[Key, T]

// KeyedBy is a set of things that know their keys, found by those. It holds the things alone: a
// map would hold each key once more, which is most of its memory. The zero value of T stands
// for nothing and cannot be in it. A KeyedBy must not be copied, and is not safe for concurrent
// use.
type KeyedBy[K, T comparable] struct {
	key func(T) K
	// slots are three quarters in use at most. A thing stands in the slot that its hash says, or
	// in the first one free behind it.
	slots []T
	size  int
}

var keySeed = maphash.MakeSeed()

// NewKeyed returns an empty set of things that key tells the keys of. The key of a thing must
// not change while it is in the set.
func NewKeyed[T comparable](key func(T) Key) *Keyed[T] { return NewKeyedBy(key) }

// NewKeyedBy is NewKeyed for keys of another type.
func NewKeyedBy[K, T comparable](key func(T) K) *KeyedBy[K, T] { return &KeyedBy[K, T]{key: key} }

// Len returns how many things are in the set.
func (k *KeyedBy[K, T]) Len() int { return k.size }

// Get returns the thing with a key, the zero value if there is none.
func (k *KeyedBy[K, T]) Get(key K) T {
	var none T
	if k.size == 0 {
		return none
	}
	return k.slots[k.find(key)]
}

// Set adds a thing, in the place of one with the same key.
func (k *KeyedBy[K, T]) Set(thing T) {
	if 4*(k.size+1) > 3*len(k.slots) {
		k.resize(max(2, 2*len(k.slots)))
	}
	var none T
	at := k.find(k.key(thing))
	if k.slots[at] == none {
		k.size++
	}
	k.slots[at] = thing
}

// Grow makes room for as many things more as are given, and for no others: setting them moves
// none, and takes the least memory.
func (k *KeyedBy[K, T]) Grow(things int) {
	if slots := (4*(k.size+things) + 2) / 3; slots > len(k.slots) {
		k.resize(slots)
	}
}

// Delete takes the thing with a key out, if there is one.
func (k *KeyedBy[K, T]) Delete(key K) {
	var none T
	if k.size == 0 {
		return
	}
	at := k.find(key)
	if k.slots[at] == none {
		return
	}
	k.size--
	// Those behind it move up, as far as they may stand there.
	for next := k.behind(at); k.slots[next] != none; next = k.behind(next) {
		if wanted := k.wanted(k.key(k.slots[next])); k.between(wanted, next) >= k.between(at, next) {
			k.slots[at] = k.slots[next]
			at = next
		}
	}
	k.slots[at] = none
}

// Clear takes everything out.
func (k *KeyedBy[K, T]) Clear() { k.slots, k.size = nil, 0 }

// All yields all things, in no order. The set must not change meanwhile.
func (k *KeyedBy[K, T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		var none T
		for _, thing := range k.slots {
			if thing != none && !yield(thing) {
				return
			}
		}
	}
}

// wanted is the slot where the search for a key begins.
func (k *KeyedBy[K, T]) wanted(key K) int {
	at, _ := bits.Mul64(maphash.Comparable(keySeed, key), uint64(len(k.slots)))
	return int(at)
}

// behind is the slot after one; the first comes after the last.
func (k *KeyedBy[K, T]) behind(at int) int {
	if at++; at < len(k.slots) {
		return at
	}
	return 0
}

// between is how many steps it is from one slot to another.
func (k *KeyedBy[K, T]) between(from, to int) int {
	if from > to {
		to += len(k.slots)
	}
	return to - from
}

// find returns the slot with a key, or the free one where it would stand.
func (k *KeyedBy[K, T]) find(key K) int {
	var none T
	at := k.wanted(key)
	for k.slots[at] != none && k.key(k.slots[at]) != key {
		at = k.behind(at)
	}
	return at
}

// resize moves everything into so many slots.
func (k *KeyedBy[K, T]) resize(slots int) {
	old := k.slots
	k.slots = make([]T, slots)
	var none T
	for _, thing := range old {
		if thing != none {
			k.slots[k.find(k.key(thing))] = thing
		}
	}
}
