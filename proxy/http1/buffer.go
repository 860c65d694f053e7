package http1

import "sync"

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
