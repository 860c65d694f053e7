//go:build !linux

package socket

import (
	"net"
	"syscall"
)

// NewListener returns l.
func NewListener(l net.Listener) (net.Listener, error) { return l, nil }

// Plain finds no socket: what needs one is for Linux.
func Plain(net.Conn) syscall.RawConn { return nil }
