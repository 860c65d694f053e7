package tcp

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy/socket"
)

// direction is one way of the bytes, from one side to the other, and the goroutine that
// carries them.
type direction struct {
	session  *session
	from, to *side
	// early goes before what is read.
	early []byte
	// bytes were read; only carry's goroutine adds to them. ended: from has ended.
	bytes atomic.Int64
	ended bool
	// records: from is inside TLS, and can be read without waiting.
	records bool
	// splice has the kernel move the bytes, where it can.
	splice splice
}

// carry moves bytes until the end, which it passes on.
func (d *direction) carry() {
	if len(d.early) > 0 {
		d.count(len(d.early))
		if err := d.write(d.early); err != nil {
			d.fail(d.to)
			return
		}
		d.early = nil
	}
	for !d.ended && !d.session.over.Load() {
		run := d.from.sock.Run
		if d.splice.usable() {
			run = d.splice.run
		}
		if run() != nil {
			d.fail(d.from)
		}
	}
	if !d.ended || d.session.over.Load() {
		return
	}
	if d.wasReset() {
		d.fail(d.from)
		return
	}
	half, ok := d.to.conn.(interface{ CloseWrite() error })
	if !ok {
		d.session.stop(causeClosed)
	} else if half.CloseWrite() != nil {
		d.fail(d.to)
	}
}

// count notes that n bytes came.
func (d *direction) count(n int) {
	d.bytes.Store(d.bytes.Load() + int64(n))
	d.touch()
}

// touch notes that bytes move.
func (d *direction) touch() {
	if m := &d.session.moved; !m.Load() {
		m.Store(true)
	}
}

// fail ends the session for a fault of one of its sides.
func (d *direction) fail(at *side) {
	if at == &d.session.client {
		d.session.stop(causeClient)
	} else {
		d.session.stop(causeEndpoint)
	}
}

// bufferSize holds a few records of TLS.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// step moves what there is through a buffer, which is held no longer. It is the socket's
// callback: see socket.Socket.
func (d *direction) step() bool {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for !d.session.over.Load() {
		n, again, err := d.read(buf[:])
		if n > 0 {
			d.count(n)
			if werr := d.write(buf[:n]); werr != nil {
				d.fail(d.to)
				return true
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			d.ended = true
			return true
		case err != nil:
			d.fail(d.from)
			return true
		case again && d.records && d.from.sock.Peek() != socket.Quiet:
			// The end came with the last bytes: no other edge will tell of it. A new
			// callback looks for it.
			return true
		case again:
			return false
		}
	}
	return true
}

// read reads what is there. Of records it gathers several, to be written together.
func (d *direction) read(p []byte) (n int, again bool, err error) {
	n, again, err = d.from.sock.Read(p)
	for d.records && n < len(p) && !again && err == nil {
		var m int
		m, again, err = d.from.sock.Read(p[n:])
		n += m
	}
	return n, again, err
}

// write writes all of p.
func (d *direction) write(p []byte) error {
	defer d.touch()
	if d.splice.chosen() {
		_, err := d.to.conn.Write(p)
		return err
	}
	return d.to.sock.Write(p)
}
