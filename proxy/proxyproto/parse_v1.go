package proxyproto

import (
	"bytes"
	"net/netip"
)

// parseV1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" (section 2.1).
func parseV1(b []byte) (Header, int, error) {
	line := b[:min(len(b), maxV1)]
	end := bytes.IndexByte(line, '\n')
	switch {
	case end < 0 && len(b) >= maxV1:
		return Header{}, 0, ErrTooLong
	case end < 0:
		return Header{}, 0, ErrPartial
	case end < len(prefixV1) || line[end-1] != '\r':
		return Header{}, 0, ErrMalformed
	}
	h := Header{Version: 1}
	rest := line[len(prefixV1) : end-1]
	family, rest, more := bytes.Cut(rest, []byte{' '})
	if bytes.IndexByte(rest, '\r') >= 0 {
		return Header{}, 0, ErrMalformed
	}
	switch string(family) {
	case "UNKNOWN":
		return h, end + 1, nil
	case "TCP4", "TCP6":
		if more && h.addresses(rest, family[3] == '4') {
			return h, end + 1, nil
		}
	}
	return Header{}, 0, ErrMalformed
}

// addresses reads "SOURCE DESTINATION PORT PORT".
func (h *Header) addresses(b []byte, v4 bool) bool {
	var fields [4][]byte
	for i := range fields {
		var more bool
		fields[i], b, more = bytes.Cut(b, []byte{' '})
		if more != (i < len(fields)-1) {
			return false
		}
	}
	source, ok1 := address(fields[0], v4)
	destination, ok2 := address(fields[1], v4)
	sourcePort, ok3 := port(fields[2])
	destinationPort, ok4 := port(fields[3])
	h.Source = netip.AddrPortFrom(source, sourcePort)
	h.Destination = netip.AddrPortFrom(destination, destinationPort)
	return ok1 && ok2 && ok3 && ok4
}

func address(b []byte, v4 bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// port reads a decimal number, which must not begin with a zero that says nothing.
func port(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return uint16(n), n <= 65535
}
