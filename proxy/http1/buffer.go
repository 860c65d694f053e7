package http1

import (
	"sync"
	"unsafe"

	"github.com/sluicegate/sluice/router"
)

// Buffers come from two pools. Idle connections hold none: a buffer is taken when a
// socket has something to read and given back when all of it has been dealt with.
const (
	// smallBuffer holds most request heads, and most responses' heads.
	smallBuffer = 4 << 10
	// largeBuffer holds the largest head that Limits allow by default, and moves bodies.
	largeBuffer = 64 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

func getSmall() []byte { return smallBuffers.Get().(*[smallBuffer]byte)[:] }

func getLarge() []byte { return largeBuffers.Get().(*[largeBuffer]byte)[:] }

// putBuffer gives back a buffer of either size; one that has grown otherwise is left to
// the garbage collector.
func putBuffer(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}

// headExtra is more than what a head has beside its fields, the target, the method and the
// reason: the version, the status and the fields of its framing.
const headExtra = 256

// headBuffer returns an empty buffer to make a head in, of so many bytes beside its fields: room,
// which an exchange lends, where it is enough; else one of the pools', as far as they go.
func headBuffer(room []byte, fields []router.Header, size int) []byte {
	size += headExtra
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value) + len(": \r\n")
	}
	switch {
	case size <= cap(room):
		return room[:0]
	case size <= smallBuffer:
		return getSmall()[:0]
	default:
		return getLarge()[:0]
	}
}

// putHead gives back what headBuffer has returned, when it was written.
func putHead(b, room []byte) {
	if unsafe.SliceData(b) != unsafe.SliceData(room) {
		putBuffer(b)
	}
}
