//go:build !linux

package socket

import "net"

// Writer writes to a connection that others may close meanwhile.
type Writer struct{ net.Conn }

// NewWriter returns a Writer of a connection.
func NewWriter(conn net.Conn) *Writer { return &Writer{conn} }
