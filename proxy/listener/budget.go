package listener

import "sync/atomic"

// Budget bounds the connections that several Servers have open together. It is
// safe for concurrent use.
type Budget struct {
	limit int64
	open  atomic.Int64
}

// NewBudget returns a budget of so many connections.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

// Open returns how many connections are open.
func (b *Budget) Open() int {
	if b == nil {
		return 0
	}
	return int(b.open.Load())
}

// Take takes a connection from the budget, if there is one left. A nil budget has no end.
func (b *Budget) Take() bool {
	if b == nil {
		return true
	}
	for {
		open := b.open.Load()
		if open >= b.limit {
			return false
		}
		// One that is refused must not count for a moment: another would be refused for it.
		if b.open.CompareAndSwap(open, open+1) {
			return true
		}
	}
}

// Give gives a connection back.
func (b *Budget) Give() {
	if b != nil {
		b.open.Add(-1)
	}
}
