package generate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// webSocket sends binary messages and expects as many bytes back in each (RFC 6455).
type webSocket struct {
	plain
	upgrade string
	message []byte // a frame
	want    int

	lane *lane
	// rest is what is to come of a frame's payload, final whether it ends the message, and
	// length what has come of the message.
	rest   int
	final  bool
	inside bool
	length int
}

// The key, with its answer, is the example of RFC 6455 section 1.3.
const (
	webSocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	webSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Opcodes and bits of a frame's first two bytes.
const (
	opBinary, opClose, opPing, opPong = 2, 8, 9, 10
	finalBit, maskBit                 = 0x80, 0x80
)

func newWebSocket(l Load) *webSocket {
	return &webSocket{
		upgrade: "GET " + l.Path + " HTTP/1.1\r\nHost: " + l.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + webSocketKey + "\r\n\r\n",
		message: appendFrame(nil, opBinary, bytes.Repeat([]byte("x"), l.Want)),
		want:    l.Want,
	}
}

// appendFrame writes a whole message of a client, which is masked.
func appendFrame(b []byte, opcode byte, payload []byte) []byte {
	b = append(b, finalBit|opcode)
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	// A mask that changes would only cost the generator time.
	mask := [4]byte{0x5a, 0xc3, 0x96, 0x0f}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i%4])
	}
	return b
}

// begin upgrades the connection.
func (w *webSocket) begin(c *conn) error {
	c.out = append(c.out, w.upgrade...)
	if err := c.flush(); err != nil {
		return err
	}
	var head []byte
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := c.read(c.loop.room)
		if err != nil {
			return fmt.Errorf("upgrading to WebSocket: %w", err)
		}
		head = append(head, c.loop.room[:n]...)
	}
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	switch {
	case !bytes.HasPrefix(line, []byte("HTTP/1.1 101")):
		return fmt.Errorf("upgrading to WebSocket: the answer is %q", line)
	case !bytes.Contains(fields, []byte(webSocketAccept)):
		return errors.New("upgrading to WebSocket: the answer is not to this key")
	case !bytes.HasSuffix(fields, []byte("\r\n\r\n")):
		return errors.New("upgrading to WebSocket: a message came before one was sent")
	}
	return nil
}

func (w *webSocket) request(c *conn, l *lane) {
	w.lane = l
	c.out = append(c.out, w.message...)
}

func (w *webSocket) read(c *conn, p []byte) (used int, err error) {
	for used < len(p) {
		if w.inside {
			n := min(w.rest, len(p)-used)
			used += n
			w.length += n
			w.rest -= n
			w.frameEnds(c)
			continue
		}
		n, err := w.frame(c, p[used:])
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

// frame reads the head of a frame, and all of a control frame; 0 wants more.
func (w *webSocket) frame(c *conn, p []byte) (int, error) {
	if len(p) < 2 {
		return 0, nil
	}
	opcode, n, head := p[0]&0x0f, int(p[1]&0x7f), 2
	switch {
	case p[1]&maskBit != 0:
		return 0, errors.New("a WebSocket frame of the server is masked")
	case n == 126:
		head = 4
	case n == 127:
		head = 10
	}
	if len(p) < head {
		return 0, nil
	}
	if head == 4 {
		n = int(binary.BigEndian.Uint16(p[2:]))
	} else if head == 10 {
		n = int(binary.BigEndian.Uint64(p[2:]) & (1<<62 - 1))
	}
	if opcode >= opClose {
		if len(p) < head+n {
			return 0, nil
		}
		return head + n, w.control(c, opcode, p[head:head+n])
	}
	if w.lane == nil || !w.lane.busy {
		return 0, errors.New("a WebSocket message came without one that was sent")
	}
	w.rest, w.final, w.inside = n, p[0]&finalBit != 0, true
	w.frameEnds(c)
	return head, nil
}

// frameEnds checks a message when its last frame has come.
func (w *webSocket) frameEnds(c *conn) {
	if w.rest > 0 {
		return
	}
	w.inside = false
	if !w.final {
		return
	}
	problem := ""
	if w.length != w.want {
		problem = fmt.Sprintf("the WebSocket message has %d bytes, not %d", w.length, w.want)
	}
	w.length = 0
	c.loop.done(w.lane, problem)
}

func (w *webSocket) control(c *conn, opcode byte, payload []byte) error {
	switch opcode {
	case opPing:
		c.out = appendFrame(c.out, opPong, payload)
	case opClose:
		return fmt.Errorf("the WebSocket was closed: %.40q", payload)
	}
	return nil
}
