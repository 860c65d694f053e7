package http2

import "sync"

// Buffers come from pools. Idle connections, and streams in which nothing waits, hold none.
const (
	smallBuffer = 4 << 10
	// readBuffer holds several frames of the largest size that we take.
	readBuffer = 64 << 10
	// outHigh is how much may wait to be written before writers wait; outBuffer is that,
	// a frame, and some heads.
	outHigh   = 64 << 10
	outBuffer = outHigh + 24<<10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	readBuffers  = sync.Pool{New: func() any { return new([readBuffer]byte) }}
	outBuffers   = sync.Pool{New: func() any { return new([outBuffer]byte) }}
)

// getBuffer returns a buffer with room for n bytes, of the sizes that are pooled where it can.
func getBuffer(n int) []byte {
	switch {
	case n <= smallBuffer:
		return smallBuffers.Get().(*[smallBuffer]byte)[:]
	case n <= readBuffer:
		return readBuffers.Get().(*[readBuffer]byte)[:]
	case n <= outBuffer:
		return outBuffers.Get().(*[outBuffer]byte)[:]
	}
	return make([]byte, n)
}

// putBuffer gives a buffer back; one of another size is left to the garbage collector.
func putBuffer(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case readBuffer:
		readBuffers.Put((*[readBuffer]byte)(b[:readBuffer]))
	case outBuffer:
		outBuffers.Put((*[outBuffer]byte)(b[:outBuffer]))
	}
}
