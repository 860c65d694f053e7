package http2

// grow makes room for n more bytes behind those of b, a buffer of the pools, which is given
// back where that takes a larger one.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	grown := getBuffer(max(len(b)+n, min(2*cap(b), readBuffer)))[:len(b)]
	copy(grown, b)
	putBuffer(b)
	return grown
}
