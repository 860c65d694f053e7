package proxyproto

import (
	"errors"
	"net/netip"
)

const (
	// maxV1 is the length of the longest line of version 1, its end included.
	maxV1 = 107
	// MaxHeader bounds a header of version 2, so that what its TLVs may take is bounded too:
	// without any, the longest (unix addresses) has 232 bytes.
	MaxHeader = 4 << 10

	prefixV1 = "PROXY "
	prefixV2 = "\r\n\r\n\x00\r\nQUIT\n"
	// fixedV2 is the length of version 2's part that is always there.
	fixedV2 = len(prefixV2) + 4
)

// Header is what a PROXY protocol header says.
type Header struct {
	// Version is 1 or 2.
	Version uint8
	// Source and Destination are the addresses of the client's connection to the sender,
	// IPv4 ones never in IPv6's form. Both are invalid where the header names none that
	// stand for a TCP connection (UNKNOWN, LOCAL, AF_UNSPEC, unix sockets): the socket's
	// own addresses then hold.
	Source, Destination netip.AddrPort
}

// Known tells whether the header names addresses, which replace the socket's.
func (h *Header) Known() bool { return h.Source.IsValid() && h.Destination.IsValid() }

var (
	// ErrPartial says that more of the header must come.
	ErrPartial = errors.New("the PROXY protocol header is not whole")
	// ErrMissing says that the connection does not begin with a header.
	ErrMissing = errors.New("the connection does not begin with a PROXY protocol header")
	// ErrTooLong says that the header is longer than MaxHeader, or a line of version 1 than
	// 107 bytes.
	ErrTooLong = errors.New("the PROXY protocol header is too long")
	// ErrMalformed says that the header breaks the protocol.
	ErrMalformed = errors.New("the PROXY protocol header is malformed")
)

// Parse reads the header that b begins with, and returns its length too. ErrPartial asks for
// more bytes; any other error is final, and the connection is to be closed.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, prefixV1):
		return parseV1(b)
	case begins(b, prefixV2):
		return parseV2(b)
	}
	return Header{}, 0, ErrMissing
}

// begins tells whether b begins with prefix, or is a part of it.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}
