package http1

import "sync/atomic"

// ConnectionBudget bounds the connections that several Servers have open together. It is
// safe for concurrent use.
type ConnectionBudget struct {
	limit int64
	open  atomic.Int64
}

// NewConnectionBudget returns a budget of so many connections.
func NewConnectionBudget(limit int) *ConnectionBudget { return &ConnectionBudget{limit: int64(limit)} }

// Open returns how many connections are open.
func (b *ConnectionBudget) Open() int {
	if b == nil {
		return 0
	}
	return int(b.open.Load())
}

// take takes a connection from the budget, if there is one left. A nil budget has no end.
func (b *ConnectionBudget) take() bool {
	if b == nil {
		return true
	}
	if b.open.Add(1) > b.limit {
		b.open.Add(-1)
		return false
	}
	return true
}

// give gives a connection back.
func (b *ConnectionBudget) give() {
	if b != nil {
		b.open.Add(-1)
	}
}
