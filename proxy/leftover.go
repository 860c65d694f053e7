package proxy

import "github.com/sluicegate/sluice/router"

// Leftover is the memory of an exchange that is over, for the next one.
type Leftover struct {
	scratch           []byte
	headers, trailers []router.Header
	tries             []TracedTry
	carrier           any
}

// maxLeftover bounds the bytes of Scratch that are used again.
const maxLeftover = 16 << 10

// Leave returns the memory of an exchange that is over. Nobody may know it any more.
func (ex *Exchange) Leave() Leftover {
	clear(ex.Trace.Tries) // They would keep what a table was built from.
	l := Leftover{ex.Scratch[:0], ex.ResponseHeaders[:0], ex.ResponseTrailers[:0], ex.Trace.Tries[:0], ex.Carrier}
	if cap(l.scratch) > maxLeftover {
		l.scratch = nil
	}
	return l
}

// Begin gives a new exchange the memory of another.
func (ex *Exchange) Begin(l Leftover) {
	ex.Scratch, ex.ResponseHeaders, ex.ResponseTrailers, ex.Trace.Tries = l.scratch, l.headers, l.trailers, l.tries
	ex.Carrier = l.carrier
}
