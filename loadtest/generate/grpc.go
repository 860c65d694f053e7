package generate

import (
	"bytes"
	"encoding/binary"
)

// prefix is the length of what precedes each gRPC message: a byte for compression and four
// for the length.
const prefix = 5

// grpcMessage is a message of so many bytes with its prefix: one field of bytes, number 1, or
// as near to that as the length allows.
func grpcMessage(size int) []byte {
	content := size - 2
	for content > 0 && len(protobufBytes(content)) > size {
		content--
	}
	message := protobufBytes(max(content, 0))
	out := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(out, message...)
}

func protobufBytes(n int) []byte {
	b := binary.AppendUvarint([]byte{1<<3 | 2}, uint64(n))
	return append(b, bytes.Repeat([]byte("x"), n)...)
}

// messages counts the messages in a stream of bytes.
type messages struct {
	// head is a prefix, of which have bytes are there; rest is what is to come of the message.
	head       [prefix]byte
	have, rest int
	inside     bool
	// whole is how many there were, length that of the last.
	whole, length int
}

// read takes the next bytes, and returns how many messages they end.
func (m *messages) read(p []byte) (ended int) {
	for len(p) > 0 || m.inside && m.rest == 0 {
		if m.inside {
			n := min(m.rest, len(p))
			p = p[n:]
			if m.rest -= n; m.rest == 0 {
				m.inside = false
				m.whole++
				ended++
			}
			continue
		}
		n := copy(m.head[m.have:], p)
		p = p[n:]
		if m.have += n; m.have == prefix {
			m.length = int(binary.BigEndian.Uint32(m.head[1:]))
			m.have, m.rest, m.inside = 0, m.length, true
		}
	}
	return ended
}
