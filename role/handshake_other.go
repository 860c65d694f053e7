//go:build !linux

package role

import "net"

// refuseHandshakes does nothing here.
func refuseHandshakes(net.Listener) bool { return false }
