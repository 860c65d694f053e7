package filter

import (
	"io"

	"github.com/sluicegate/sluice/proxy"
)

// Tee is the client's side of an exchange whose request body is copied, for mirrors, as it is
// read. The copies are sent when the body has ended. A body that is larger than a copy may
// be goes on to the upstream, and the mirrors are dropped.
type Tee struct {
	proxy.Downstream
	mirrors *Mirrors
	// copy is nil once it was sent or dropped.
	copy    *requestCopy
	targets []target
	// read counts the bytes that were read since the body began, or was begun anew.
	read int
}

// ReadBody implements proxy.Downstream.
func (t *Tee) ReadBody(p []byte) (int, error) {
	n, err := t.Downstream.ReadBody(p)
	if t.copy == nil {
		return n, err
	}
	t.read += n
	// After a Rewind, what was copied before comes again.
	if fresh := t.read - len(t.copy.payload); fresh > 0 && !t.keep(p[n-fresh:n]) {
		return n, err
	}
	if err == io.EOF {
		t.send()
	}
	return n, err
}

// keep copies a piece of the body.
func (t *Tee) keep(p []byte) bool {
	if len(t.copy.payload)+len(p) > t.mirrors.options.MaxBody {
		t.drop(DropBody)
		return false
	}
	if !t.copy.append(p) {
		t.drop(DropMemory)
		return false
	}
	return true
}

// send sends the copies, now that the body is whole.
func (t *Tee) send() {
	if !t.copy.end(t.Downstream.Trailers()) {
		t.drop(DropMemory)
		return
	}
	c := t.copy
	t.copy = nil
	if t.targets = t.mirrors.admit(t.targets); len(t.targets) == 0 {
		c.free()
		return
	}
	t.mirrors.launch(c, t.targets)
}

func (t *Tee) drop(why DropReason) {
	t.copy.free()
	t.copy = nil
	dropAll(t.targets, why)
}

// Rewind implements proxy.Downstream.
func (t *Tee) Rewind() bool {
	if !t.Downstream.Rewind() {
		return false
	}
	t.read = 0
	return true
}

// End drops copies whose body was not read to its end. It is called once, when the exchange
// is over.
func (t *Tee) End() {
	if t.copy != nil {
		t.drop(DropIncomplete)
	}
}
