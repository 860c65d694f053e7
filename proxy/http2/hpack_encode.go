package http2

import (
	"encoding/binary"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// encoder encodes the header blocks of one connection, in the order in which they are sent
// (RFC 7541). A field goes into the dynamic table when it is sent for the second time, so
// that what is different each time does not push out what is always the same. Strings are
// sent as they are: Huffman coding saves little beside the table, and costs time.
type encoder struct {
	table dynamicTable
	// seen tells, by a field's hash, what was sent last.
	seen [encoderSlots]seenField
	// limit is the size that we would use; resize is set when the peer must be told of a
	// smaller one, lowest being the smallest since the last block.
	resize bool
	lowest int
}

const encoderSlots = 64

// seenField is a field that was sent before: its whole hash, and its place in the table,
// counting all that were ever added from 1; 0 where it is not there.
type seenField struct {
	hash  uint32
	place uint32
	// misses counts the other fields that wanted its slot since it was last sent: what is
	// sent again and again gives way to none that come once.
	misses uint8
}

// maxMisses is when a field loses its slot.
const maxMisses = 4

func newEncoder() encoder { return encoder{table: dynamicTable{max: defaultTableSize}} }

// setLimit takes the peer's SETTINGS_HEADER_TABLE_SIZE. More than the default is not used.
func (e *encoder) setLimit(n uint32) {
	size := int(min(n, defaultTableSize))
	if size == e.table.max {
		return
	}
	if !e.resize || size < e.lowest {
		e.lowest = size
	}
	e.resize = true
	e.table.setMax(size)
}

// begin begins a block.
func (e *encoder) begin(dst []byte) []byte {
	if e.resize {
		e.resize = false
		if e.lowest < e.table.max {
			dst = appendInteger(dst, 0x20, 5, e.lowest)
		}
		dst = appendInteger(dst, 0x20, 5, e.table.max)
	}
	return dst
}

// appendStatus appends :status.
func (e *encoder) appendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	return append(dst, 8, 3, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// appendField appends one field. Its name must be in lower case.
func (e *encoder) appendField(dst []byte, name, value string) []byte {
	static := staticName(name)
	if secret(name) {
		return appendLiteral(dst, 0x10, 4, static, name, value)
	}
	hash := fieldHash(name, value)
	slot := &e.seen[hash%encoderSlots]
	if slot.hash != hash {
		if slot.misses++; slot.misses > maxMisses || slot.place == 0 {
			*slot = seenField{hash: hash}
		}
		return appendLiteral(dst, 0, 4, static, name, value)
	}
	slot.misses = 0
	if back := uint32(e.table.inserted) - slot.place + 1; slot.place != 0 && back <= uint32(e.table.n) {
		if at := e.table.at(int(back)); at.name == name && at.value == value {
			return appendInteger(dst, 0x80, 7, len(staticTable)-1+int(back))
		}
		return appendLiteral(dst, 0, 4, static, name, value)
	}
	if len(name)+len(value)+entryOverhead > e.table.max/4 {
		return appendLiteral(dst, 0, 4, static, name, value)
	}
	dst = appendLiteral(dst, 0x40, 6, static, name, value)
	e.insert(static, name, value)
	slot.place = uint32(e.table.inserted)
	return dst
}

func (e *encoder) insert(static int, name, value string) {
	if static != 0 {
		name = staticTable[static].Name
	} else {
		name = strings.Clone(name)
	}
	e.table.add(tableEntry{name: name, value: strings.Clone(value)})
}

// appendFields appends fields in order.
func (e *encoder) appendFields(dst []byte, fields []router.Header) []byte {
	for i := range fields {
		dst = e.appendField(dst, fields[i].Name, fields[i].Value)
	}
	return dst
}

// secret tells of fields that nobody on the way may compress either (RFC 7541 section
// 7.1.3): several clients may share a connection to an upstream, and one must not learn by
// trying what another sends.
func secret(name string) bool {
	switch name {
	case "cookie", "set-cookie", "authorization", "proxy-authorization":
		return true
	}
	return false
}

// fieldHash looks at the lengths and at the ends of a field: fields of the same hash that
// are not the same only cost compression.
func fieldHash(name, value string) uint32 {
	h := uint64(len(name))<<32 ^ uint64(len(value))<<40 ^ uint64(len(value))
	if n := len(name); n >= 4 {
		h ^= uint64(name[0]) ^ uint64(name[n-1])<<8 ^ uint64(name[n/2])<<16 ^ uint64(name[n-3])<<24
	}
	if n := len(value); n >= 8 {
		h ^= load64(value[n-8:]) * 0x9e3779b97f4a7c15
		h ^= load64(value) * 0xc2b2ae3d27d4eb4f
	} else {
		for i := 0; i < n; i++ {
			h = (h ^ uint64(value[i])) * 0x100000001b3
		}
	}
	h *= 0x9e3779b97f4a7c15
	return uint32(h>>32) | 1
}

func load64(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s[:8])) }

// appendLiteral appends a literal field with a name that is in the static table (index not
// 0) or spelled out.
func appendLiteral(dst []byte, kind byte, prefix uint, index int, name, value string) []byte {
	dst = appendInteger(dst, kind, prefix, index)
	if index == 0 {
		dst = appendString(dst, name)
	}
	return appendString(dst, value)
}

func appendString(dst []byte, s string) []byte {
	dst = appendInteger(dst, 0, 7, len(s))
	return append(dst, s...)
}

// appendInteger appends an integer behind a prefix of so many bits (RFC 7541 section 5.1).
func appendInteger(dst []byte, kind byte, prefix uint, n int) []byte {
	limit := 1<<prefix - 1
	if n < limit {
		return append(dst, kind|byte(n))
	}
	dst = append(dst, kind|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
