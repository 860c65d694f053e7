//go:build !linux

package tcp

import "github.com/sluicegate/sluice/proxy/socket"

// splice is what only Linux has: elsewhere bytes go through buffers.
type splice struct{}

func (*splice) chosen() bool { return false }
func (*splice) usable() bool { return false }
func (*splice) run() error   { return nil }

// prepare decides how the session's bytes move.
func (s *session) prepare() {
	s.client.sock = socket.New(s.client.conn, s.up.step)
	s.endpoint.sock = socket.New(s.endpoint.conn, s.down.step)
}

// wasReset is what only Linux can tell.
func (*direction) wasReset() bool { return false }
