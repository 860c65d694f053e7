package http2

// sendWindow is what a peer lets us send (RFC 9113 section 5.2). It can be negative: a
// change of the peer's settings may take back what was given.
type sendWindow int64

// give adds to the window, and tells whether it is still in bounds.
func (w *sendWindow) give(n int64) bool {
	*w += sendWindow(n)
	return *w <= maxWindow
}

// receiveWindow is what we let a peer send. What was dealt with is given back in batches.
type receiveWindow struct {
	// size is how large the window is when all was dealt with; left is what the peer may
	// send now; owed was dealt with and not given back yet.
	size, left, owed int
}

func newReceiveWindow(size int) receiveWindow { return receiveWindow{size: size, left: size} }

// take notes that n bytes came, and tells whether they were allowed.
func (w *receiveWindow) take(n int) bool {
	w.left -= n
	return w.left >= 0
}

// done notes that n bytes were dealt with, and returns by how much to open the window now:
// 0 until half of it is owed.
func (w *receiveWindow) done(n int) int {
	if w.owed += n; w.owed < w.size/2 {
		return 0
	}
	return w.giveAll()
}

// giveAll returns all that is owed.
func (w *receiveWindow) giveAll() int {
	n := w.owed
	w.left += n
	w.owed = 0
	return n
}
