package tls

import "time"

// patience is how often a broken file is read again before that is told of: certificate and
// key are replaced one after the other, and a file is seen half written.
const patience = 5

// settle is how long after the first sign of a change files are read. It doubles with each
// time that they are read in vain.
const settle = 20 * time.Millisecond

// held is what was parsed of a source. Its last good version stays in force.
type held[T any] struct {
	good *T
	// err is why what is there now could not be taken; nil if it was.
	err error
	// seen is the version of the inputs that was parsed last.
	seen uint64
	// tries counts how often they could not be parsed since they last could.
	tries int
}

// outcome is what became of an evaluation.
type outcome uint8

const (
	unchanged outcome = iota
	// doubtful: it could not be parsed, but may be about to change again.
	doubtful
	// broken: it could not be parsed.
	broken
	// loaded: there is a good version where there was none, replaced: where there was one.
	loaded
	replaced
)

// take parses the inputs if they have changed. patient ones are not called broken at once
// while there is a good version.
func (h *held[T]) take(version uint64, patient bool, parse func() (*T, error)) outcome {
	if version == h.seen && (h.tries == 0 || h.err != nil) {
		return unchanged
	}
	h.seen = version
	good, err := parse()
	if err == nil {
		first := h.good == nil
		h.good, h.err, h.tries = good, nil, 0
		if first {
			return loaded
		}
		return replaced
	}
	h.tries++
	if patient && h.good != nil && h.err == nil && h.tries < patience {
		return doubtful
	}
	h.err = err
	return broken
}
