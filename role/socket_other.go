//go:build !unix

package role

import "net"

// waiting cannot look into the kernel's queue here: what is in it when a socket closes
// is lost.
func (s *socket) waiting() net.Conn { return nil }
