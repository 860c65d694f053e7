//go:build !linux

package socket

import "net"

// NewListener returns l.
func NewListener(l net.Listener) (net.Listener, error) { return l, nil }
