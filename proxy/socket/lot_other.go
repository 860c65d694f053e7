//go:build !linux

package socket

import "sync/atomic"

// Lot looks after idle sockets, where there is a way to: see lot_linux.go. Here there is none.
type Lot struct {
	parked  atomic.Int64
	crowded atomic.Bool
}

// Park does nothing, and tells so.
func (l *Lot) Park(s *Socket, w Sleeper) (ok bool) { return false }

// Leave has nothing to do.
func (l *Lot) Leave(s *Socket, w Sleeper) {}

// Close has nothing to do.
func (l *Lot) Close() {}
