package socket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// MaxPeek is how many sockets PeekAll takes at once.
const MaxPeek = 16

// TLS is a connection inside TLS that a [Socket] can drive without waiting in it: records are
// read ahead of crypto/tls, which gets no more than one at a time, and several records of
// one write leave together. It is a net.Conn like any other, too.
type TLS struct {
	*tls.Conn
	wire *wire
}

// Server returns the server's side of TLS over conn. The handshake is still to be done. Bytes
// of the client that were read already are passed in early, which is not kept.
func Server(conn net.Conn, early []byte, config *tls.Config) *TLS {
	w := newWire(conn)
	w.keep = true
	w.take(early)
	return &TLS{Conn: tls.Server(w, config), wire: w}
}

// Client returns the client's side of TLS over conn. The handshake is still to be done.
func Client(conn net.Conn, config *tls.Config) *TLS {
	w := newWire(conn)
	return &TLS{Conn: tls.Client(w, config), wire: w}
}

// Decide is called when it is clear, from the client's first message, that TLS is to end here:
// what was read is then no longer kept for Seen.
func (t *TLS) Decide() { t.wire.keep = false }

// Mute lets nothing more be written: TLS is not to end here, and the client must not hear of
// it.
func (t *TLS) Mute() { t.wire.muted = true }

// Seen returns a copy of all that was read before Decide.
func (t *TLS) Seen() []byte { return bytes.Clone(t.wire.in[:t.wire.w]) }

// Beneath returns the connection that carries the records.
func (t *TLS) Beneath() net.Conn { return t.wire.Conn }

// errWait tells crypto/tls that nothing is there yet. It forgives errors that are temporary.
var errWait net.Error = waitError{}

type waitError struct{}

func (waitError) Error() string   { return "nothing to read yet" }
func (waitError) Timeout() bool   { return true }
func (waitError) Temporary() bool { return true }

const (
	recordHeader = 5
	// wireBuffer holds a few records of the largest size.
	wireBuffer = 64 << 10
)

var wireBuffers = sync.Pool{New: func() any { return new([wireBuffer]byte) }}

// wire is what crypto/tls reads records from and writes them to.
type wire struct {
	net.Conn
	// reader and writer are of Conn, and may be used while others close it.
	reader *Reader
	writer *Writer
	// in[r:w] was read and not yet handed on. It is nil while there is nothing.
	in   []byte
	r, w int
	// left counts the bytes of the record in progress that were not handed on yet; header
	// has its first bytes while they are not all there.
	left    int
	header  [recordHeader]byte
	partial int
	// direct: a Socket's callback is on, in which nothing may wait. short: the last read
	// left the socket empty.
	direct, short bool
	// thorough: a read that left the socket empty is not enough to know that nothing is there.
	thorough bool
	// keep: everything stays in the buffer. muted: nothing is written.
	keep, muted bool
	// pull reads without waiting; nil where only ordinary reads can be had.
	pull func(p []byte) (n int, again bool, err error)
	// push writes what it can without waiting, and the rest as it can. Nobody may close the
	// connection meanwhile, which those see to who write by a Socket.
	push func(p []byte) error

	// mu guards what is written: by the codec, and by crypto/tls itself while it reads.
	mu     sync.Mutex
	corked atomic.Bool
	out    []byte
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn, reader: NewReader(conn), writer: NewWriter(conn)}
	w.push = func(p []byte) error {
		_, err := w.writer.Write(p)
		return err
	}
	return w
}

// take puts bytes in front of what will be read.
func (w *wire) take(p []byte) {
	if len(p) == 0 {
		return
	}
	if len(p) <= wireBuffer {
		w.fill()
		w.w = copy(w.in, p)
		return
	}
	w.in = append([]byte(nil), p...)
	w.w = len(p)
}

func (w *wire) fill() {
	w.in = wireBuffers.Get().(*[wireBuffer]byte)[:]
	w.r, w.w = 0, 0
}

// empty gives the buffer back once all of it was handed on.
func (w *wire) empty() {
	if cap(w.in) == wireBuffer {
		wireBuffers.Put((*[wireBuffer]byte)(w.in[:wireBuffer]))
	}
	w.in, w.r, w.w = nil, 0, 0
}

// Read hands on what belongs to the record in progress, and nothing behind it: what
// crypto/tls has returned is then all that it has.
func (w *wire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.r == w.w {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.record())
	w.handed(n)
	if w.r == w.w && !w.keep {
		w.empty()
	}
	return n, nil
}

// record returns what there is of the record in progress.
func (w *wire) record() []byte {
	b := w.in[w.r:w.w]
	if w.left > 0 {
		return b[:min(len(b), w.left)]
	}
	if w.partial > 0 || len(b) < recordHeader {
		return b[:min(len(b), recordHeader-w.partial)]
	}
	return b[:min(len(b), recordHeader+recordLength(b))]
}

func recordLength(header []byte) int { return int(header[3])<<8 | int(header[4]) }

// handed notes that the next n bytes were handed on.
func (w *wire) handed(n int) {
	b := w.in[w.r : w.r+n]
	w.r += n
	if w.left > 0 {
		w.left -= n
		return
	}
	h := copy(w.header[w.partial:], b)
	if w.partial += h; w.partial < recordHeader {
		return
	}
	w.partial = 0
	w.left = recordLength(w.header[:]) - (n - h)
}

// more reads what has come.
func (w *wire) more() error {
	if w.direct && w.short && !w.thorough {
		return errWait
	}
	if w.in == nil {
		w.fill()
	}
	if !w.keep {
		w.r, w.w = 0, 0
	}
	if w.w == len(w.in) {
		return errHello
	}
	var n int
	var again bool
	var err error
	if w.direct {
		n, again, err = w.pull(w.in[w.w:])
		w.short = again || n < len(w.in)-w.w
	} else {
		n, err = w.reader.Read(w.in[w.w:])
	}
	w.w += n
	switch {
	case n > 0:
		return nil
	case again:
		err = errWait
	case err == nil:
		err = errNothing
	}
	if w.r == w.w && !w.keep {
		w.empty()
	}
	return err
}

var (
	errNothing = errors.New("a read returned nothing")
	errHello   = errors.New("the client's first message is too long")
	errMuted   = errors.New("TLS does not end here")
)

// Write sends a record, or keeps it while the wire is corked.
func (w *wire) Write(p []byte) (int, error) {
	if w.muted {
		return 0, errMuted
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.corked.Load() {
		if w.out == nil {
			w.out = wireBuffers.Get().(*[wireBuffer]byte)[:0]
		}
		if len(w.out)+len(p) > cap(w.out) {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
		if len(p) <= cap(w.out) {
			w.out = append(w.out, p...)
			return len(p), nil
		}
	}
	// Whoever writes past a Socket may do so while another goroutine closes the connection,
	// whose descriptor may then be another's: not by push.
	return w.writer.Write(p)
}

// flush sends what was kept. The caller holds mu.
func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	err := w.push(w.out)
	w.out = w.out[:0]
	return err
}

// cork keeps what is written from now on, until uncork.
func (w *wire) cork() { w.corked.Store(true) }

// uncork sends what was kept.
func (w *wire) uncork() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corked.Store(false)
	err := w.flush()
	if w.out != nil {
		wireBuffers.Put((*[wireBuffer]byte)(w.out[:wireBuffer]))
		w.out = nil
	}
	return err
}

// write encrypts and sends parts, in as few system calls as can be.
func (t *TLS) write(parts ...[]byte) error {
	t.wire.cork()
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if _, err := t.Conn.Write(p); err != nil {
			t.wire.uncork()
			return err
		}
	}
	return t.wire.uncork()
}
