//go:build !linux

package socket

import "net"

// Reader reads from a connection that others may close meanwhile.
type Reader struct{ net.Conn }

// NewReader returns a Reader of a connection.
func NewReader(conn net.Conn) *Reader { return &Reader{conn} }

// Writer writes to a connection that others may close meanwhile.
type Writer struct{ net.Conn }

// NewWriter returns a Writer of a connection.
func NewWriter(conn net.Conn) *Writer { return &Writer{conn} }
