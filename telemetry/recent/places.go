package recent

import (
	"unsafe"

	"github.com/sluicegate/sluice/router"
)

const (
	// maxCached bounds the places that a shard remembers.
	maxCached = 2 * maxRoutes
	// firstPlaces is how much room there is at first, a power of two.
	firstPlaces = 16
)

// places tell by what an exchange points to where a shard counts it: a table of which the first
// slot is mostly the right one. It only saves looking by the route's names.
type places struct {
	// slots are a power of two, of which a quarter at least is empty; nil at first.
	slots []place
	used  int
}

// place is where one key counts. One without a tally is empty.
type place struct {
	route       *router.CompiledRoute
	destination *router.CompiledDestination
	tally       *tally
}

// placeKey is what an exchange points to.
type placeKey struct {
	listener    string
	route       *router.CompiledRoute
	destination *router.CompiledDestination
}

// hash spreads keys. Of the listener's name the end is enough, which has the port: few others
// have the same routes.
func (k *placeKey) hash() uint64 {
	h := uint64(uintptr(unsafe.Pointer(k.route)))*0x9e3779b97f4a7c15 ^ uint64(uintptr(unsafe.Pointer(k.destination)))
	if l := k.listener; len(l) >= 8 {
		l = l[len(l)-8:]
		h ^= uint64(l[0]) | uint64(l[1])<<8 | uint64(l[2])<<16 | uint64(l[3])<<24 |
			uint64(l[4])<<32 | uint64(l[5])<<40 | uint64(l[6])<<48 | uint64(l[7])<<56
	}
	return h * 0x9e3779b97f4a7c15 >> 32
}

// find returns the tally of a key, nil where it is not known.
func (p *places) find(k *placeKey) *tally {
	if len(p.slots) == 0 {
		return nil
	}
	return p.slots[p.at(k)].tally
}

// at returns the slot of a key, or the one that it is to have. There must be slots.
func (p *places) at(k *placeKey) uint64 {
	mask := uint64(len(p.slots) - 1)
	for i := k.hash() & mask; ; i = (i + 1) & mask {
		s := &p.slots[i]
		if s.tally == nil || s.route == k.route && s.destination == k.destination && *s.tally.listener == k.listener {
			return i
		}
	}
}

// add remembers where a key that is not known counts.
func (p *places) add(k *placeKey, t *tally) {
	if p.used >= maxCached {
		p.clear()
	}
	if 4*(p.used+1) > 3*len(p.slots) {
		p.grow()
	}
	p.slots[p.at(k)] = place{k.route, k.destination, t}
	p.used++
}

func (p *places) grow() {
	old := p.slots
	p.slots = make([]place, max(2*len(old), firstPlaces))
	for i := range old {
		if s := &old[i]; s.tally != nil {
			p.slots[p.at(&placeKey{*s.tally.listener, s.route, s.destination})] = *s
		}
	}
}

// clear forgets all, and lets go of what the keys are of.
func (p *places) clear() {
	clear(p.slots)
	p.used = 0
}
