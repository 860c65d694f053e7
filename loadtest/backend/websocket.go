package backend

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// Codes of frames (RFC 6455 section 5.2).
const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// accepted is the answer to a handshake (RFC 6455 section 4.2.2).
func accepted(key []byte) []byte {
	sum := sha1.Sum(append(key[:len(key):len(key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// webSocket returns the messages that come, all those in a read with one write.
func webSocket(l *loop, c *conn, in []byte) (int, error) {
	l.out = l.out[:0]
	used := 0
	for {
		head, payload, mask := frame(in[used:])
		if head == 0 || len(in)-used < head+payload {
			break
		}
		first := in[used]
		data := in[used+head : used+head+payload]
		for i := range data {
			data[i] ^= mask[i&3]
		}
		used += head + payload
		switch first & 0xf {
		case opPong:
			continue
		case opPing:
			first = first&0xf0 | opPong
		case opClose:
			c.last = true
		}
		l.out = appendFrame(l.out, first, data)
		if c.last {
			break
		}
	}
	if len(l.out) == 0 {
		return used, nil
	}
	return used, c.write(l.out)
}

// frame reads the head of a frame of a client: its length, 0 while it is not complete, that of
// what follows, and the mask.
func frame(in []byte) (head, payload int, mask [4]byte) {
	if len(in) < 2 {
		return 0, 0, mask
	}
	head, payload = 2, int(in[1]&0x7f)
	switch {
	case payload == 126 && len(in) >= 4:
		head, payload = 4, int(binary.BigEndian.Uint16(in[2:]))
	case payload == 127 && len(in) >= 10:
		head, payload = 10, int(binary.BigEndian.Uint64(in[2:])&(1<<31-1))
	case payload >= 126:
		return 0, 0, mask
	}
	if in[1]&0x80 == 0 {
		return head, payload, mask
	}
	if len(in) < head+4 {
		return 0, 0, mask
	}
	copy(mask[:], in[head:])
	return head + 4, payload, mask
}

// appendFrame appends a frame of a server, which has no mask.
func appendFrame(out []byte, first byte, data []byte) []byte {
	switch n := len(data); {
	case n < 126:
		out = append(out, first, byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, first, 126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, first, 127), uint64(n))
	}
	return append(out, data...)
}
