package proxy

import "encoding/binary"

// GRPCMessages counts the messages in one direction of a gRPC call as its body passes: each is
// a flag, four bytes of length, and as many bytes (gRPC over HTTP/2, "Length-Prefixed-Message").
// A message counts as soon as its length is known.
type GRPCMessages struct {
	// left is what is still to come of a message; head has the first of the bytes before the
	// next one.
	left uint32
	head [grpcPrefix]byte
	have uint8
}

const grpcPrefix = 5

// Count returns how many messages begin with the next bytes of the body.
func (m *GRPCMessages) Count(p []byte) (n uint64) {
	for len(p) > 0 {
		if m.left > 0 {
			skip := min(uint64(m.left), uint64(len(p)))
			m.left -= uint32(skip)
			p = p[skip:]
			continue
		}
		taken := copy(m.head[m.have:], p)
		m.have += uint8(taken)
		p = p[taken:]
		if m.have == grpcPrefix {
			m.left, m.have = binary.BigEndian.Uint32(m.head[1:]), 0
			n++
		}
	}
	return n
}
