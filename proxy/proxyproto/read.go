package proxyproto

import (
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// DefaultTimeout is how long a header may take to come.
const DefaultTimeout = 5 * time.Second

// firstRead is the room for a header without TLVs, and for what may come with it.
const firstRead = 536

// Read reads the header that conn begins with, and returns it with the bytes behind it that
// were read too. buf, which may be nil, is memory to read into; rest stands in it where it
// is large enough. What buf holds already is taken as read.
//
// The header must be whole within the time given (0 means DefaultTimeout). An error leaves
// the connection to the caller to close: those of this package, io.ErrUnexpectedEOF where
// it ends early, or conn's, such as os.ErrDeadlineExceeded. The read deadline is cleared.
func Read(conn net.Conn, buf []byte, within time.Duration) (h Header, rest []byte, err error) {
	if within == 0 {
		within = DefaultTimeout
	}
	conn.SetReadDeadline(time.Now().Add(within))
	defer conn.SetReadDeadline(time.Time{})
	for {
		if h, n, err := Parse(buf); err != ErrPartial {
			return h, buf[n:], err
		}
		// Parse wants no more than MaxHeader bytes, so this ends.
		buf = slices.Grow(buf, max(1, firstRead-len(buf)))
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, buf, err
		}
	}
}
