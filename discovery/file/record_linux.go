package file

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// record is one event as the kernel writes it.
type record struct {
	// watch is the number that the kernel gave when it was asked for events.
	watch int32
	mask  uint32
	// name is what the event is about, empty for the folder itself. It lies in the buffer.
	name []byte
}

// cut takes the first record off a buffer. It is not ok if that has no whole one.
func cut(buffer []byte) (r record, rest []byte, ok bool) {
	if len(buffer) < unix.SizeofInotifyEvent {
		return record{}, nil, false
	}
	// Two of the four numbers at the beginning are for pairs of names and for the length.
	r.watch = int32(binary.NativeEndian.Uint32(buffer))
	r.mask = binary.NativeEndian.Uint32(buffer[4:])
	length := uint64(binary.NativeEndian.Uint32(buffer[12:]))
	rest = buffer[unix.SizeofInotifyEvent:]
	if length > uint64(len(rest)) {
		return record{}, nil, false
	}
	// Zeros fill a name up to where the next record may begin.
	r.name, _, _ = bytes.Cut(rest[:length], []byte{0})
	return r, rest[length:], true
}
