package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The fields of version 2 (section 2.2): the version with the command, and the address
// family with the transport.
const (
	commandLocal = 0x20
	commandProxy = 0x21

	familyUnspec = 0
	familyIPv4   = 1
	familyIPv6   = 2
	familyUnix   = 3

	transportStream = 1

	streamIPv4 = familyIPv4<<4 | transportStream
	streamIPv6 = familyIPv6<<4 | transportStream
)

// addressLengths are the lengths of the families' addresses and ports.
var addressLengths = [...]int{familyUnspec: 0, familyIPv4: 12, familyIPv6: 36, familyUnix: 216}

// parseV2 reads a binary header.
func parseV2(b []byte) (Header, int, error) {
	if len(b) > len(prefixV2) && b[len(prefixV2)] != commandLocal && b[len(prefixV2)] != commandProxy {
		return Header{}, 0, ErrMalformed
	}
	if len(b) < fixedV2 {
		return Header{}, 0, ErrPartial
	}
	n := fixedV2 + int(binary.BigEndian.Uint16(b[14:]))
	if n > MaxHeader {
		return Header{}, 0, ErrTooLong
	}
	// The family of a sender that speaks for itself is not looked at (section 2.2).
	local := b[12] == commandLocal
	family, transport := b[13]>>4, b[13]&15
	if !local && (family > familyUnix || transport > 2) {
		return Header{}, 0, ErrMalformed
	}
	if len(b) < n {
		return Header{}, 0, ErrPartial
	}
	h := Header{Version: 2}
	if local {
		return h, n, nil // What else it says is skipped.
	}
	tail := b[fixedV2:n]
	length := addressLengths[family]
	if len(tail) < length || !checkTLVs(b[:n], fixedV2+length) {
		return Header{}, 0, ErrMalformed
	}
	switch b[13] {
	case streamIPv4:
		h.Source = addrPort(tail[:4], tail[8:])
		h.Destination = addrPort(tail[4:8], tail[10:])
	case streamIPv6:
		h.Source = addrPort(tail[:16], tail[32:])
		h.Destination = addrPort(tail[16:32], tail[34:])
	}
	return h, n, nil
}

func addrPort(address, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// typeCRC32C is the TLV that holds the whole header's checksum, taken with zeros in its
// place.
const typeCRC32C = 0x03

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkTLVs tells whether what follows the addresses, from at on, is made of whole TLVs, and
// whether a checksum among them is right. What else they say is nobody's concern yet.
func checkTLVs(header []byte, at int) bool {
	for at < len(header) {
		if len(header)-at < 3 {
			return false
		}
		value := at + 3
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return false
		}
		if header[at] == typeCRC32C && (end-value != 4 || binary.BigEndian.Uint32(header[value:]) != checksum(header, value)) {
			return false
		}
		at = end
	}
	return true
}

// checksum returns the header's, whose own place is the four bytes at.
func checksum(header []byte, at int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, header[at+4:])
}
