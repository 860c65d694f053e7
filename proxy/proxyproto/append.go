package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Append appends a header of version 1, or else 2, for a connection from source to
// destination. Addresses of different families are both written as IPv6. Where one of them
// is not valid the header names none: UNKNOWN, or LOCAL, which receivers answer by taking
// the socket's own.
func Append(dst []byte, version uint8, source, destination netip.AddrPort) []byte {
	known := source.IsValid() && destination.IsValid()
	from, to := source.Addr().Unmap().WithZone(""), destination.Addr().Unmap().WithZone("")
	v4 := from.Is4() && to.Is4()
	switch {
	case version == 1 && !known:
		return append(dst, prefixV1+"UNKNOWN\r\n"...)
	case version == 1:
		dst = append(dst, prefixV1+"TCP"...)
		if v4 {
			dst = append(dst, "4 "...)
		} else {
			dst = append(dst, "6 "...)
			from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
		}
		dst = append(from.AppendTo(dst), ' ')
		dst = append(to.AppendTo(dst), ' ')
		dst = append(strconv.AppendUint(dst, uint64(source.Port()), 10), ' ')
		dst = strconv.AppendUint(dst, uint64(destination.Port()), 10)
		return append(dst, "\r\n"...)
	case !known:
		return append(dst, prefixV2+"\x20\x00\x00\x00"...)
	}
	dst = append(dst, prefixV2...)
	if v4 {
		a, b := from.As4(), to.As4()
		dst = append(dst, commandProxy, streamIPv4, 0, byte(addressLengths[familyIPv4]))
		dst = append(append(dst, a[:]...), b[:]...)
	} else {
		a, b := from.As16(), to.As16()
		dst = append(dst, commandProxy, streamIPv6, 0, byte(addressLengths[familyIPv6]))
		dst = append(append(dst, a[:]...), b[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	return binary.BigEndian.AppendUint16(dst, destination.Port())
}
