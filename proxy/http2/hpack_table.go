package http2

// entryOverhead is what an entry counts beside its bytes (RFC 7541 section 4.1).
const entryOverhead = 32

// defaultTableSize is the size of a dynamic table, where SETTINGS say nothing.
const defaultTableSize = 4096

// tableEntry is a field of a dynamic table. It owns its strings.
type tableEntry struct {
	name, value string
	// valid says that name and value may stand in a message.
	valid bool
}

func (e *tableEntry) size() int { return len(e.name) + len(e.value) + entryOverhead }

// dynamicTable has the fields that a connection's header blocks told of last (RFC 7541
// section 2.3.2), in a ring whose length is a power of two.
type dynamicTable struct {
	ring []tableEntry
	// inserted counts all that were ever added; n are still there.
	inserted uint64
	n        int
	size     int
	max      int
}

// at returns the ith entry, counting back from 1, the newest.
func (t *dynamicTable) at(i int) *tableEntry {
	return &t.ring[(t.inserted-uint64(i))&uint64(len(t.ring)-1)]
}

// add adds an entry. One that is too large leaves the table empty.
func (t *dynamicTable) add(e tableEntry) {
	size := e.size()
	t.evict(t.max - size)
	if size > t.max {
		return
	}
	if t.n == len(t.ring) {
		t.grow()
	}
	t.ring[t.inserted&uint64(len(t.ring)-1)] = e
	t.inserted++
	t.n++
	t.size += size
}

func (t *dynamicTable) grow() {
	ring := make([]tableEntry, max(8, 2*len(t.ring)))
	for i := 1; i <= t.n; i++ {
		ring[(t.inserted-uint64(i))&uint64(len(ring)-1)] = *t.at(i)
	}
	t.ring = ring
}

// evict drops the oldest entries until the table is no larger than limit.
func (t *dynamicTable) evict(limit int) {
	for t.n > 0 && t.size > limit {
		oldest := t.at(t.n)
		t.size -= oldest.size()
		*oldest = tableEntry{}
		t.n--
	}
}

func (t *dynamicTable) setMax(n int) {
	t.max = n
	t.evict(n)
}
