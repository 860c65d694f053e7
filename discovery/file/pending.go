package file

import "time"

const (
	// quiet is how long nothing must have happened before a change is taken up, and
	// patience how long that is waited for.
	quiet    = 15 * time.Millisecond
	patience = 50 * time.Millisecond
	// lossQuiet is how long a file that has become worse (it takes objects away, or
	// does not parse) must have been quiet, and lossPatience how long that is waited for.
	lossQuiet    = 40 * time.Millisecond
	lossPatience = 5 * time.Second
	// others is how long other changes wait for those that make something worse: an
	// object that moves between files should move in one step.
	others = 60 * time.Millisecond
)

// pending are events that wait for quiet.
type pending struct {
	files       map[string]time.Time // real paths, with the time of the last event
	all         bool                 // look at everything
	first, last time.Time
}

func (p *pending) empty() bool { return len(p.files) == 0 && !p.all }

// due is when the events are to be taken up.
func (p *pending) due() time.Time {
	return earlier(p.last.Add(quiet), p.first.Add(patience))
}

// note notes the time of an event, before the event itself is kept.
func (p *pending) note(at time.Time) {
	if p.empty() || at.Before(p.first) {
		p.first = at
	}
	if p.empty() || at.After(p.last) {
		p.last = at
	}
}

// stage is a version of a file that has been read and waits to come into force.
type stage struct {
	next *content // nil: the file has gone
	// worse: it takes objects away or has a fault that the last version did not have,
	// as half of a file would.
	worse       bool
	first, last time.Time
}

// due is when the stage may come into force.
func (s *stage) due() time.Time {
	if !s.worse {
		return s.first
	}
	return earlier(s.last.Add(lossQuiet), s.first.Add(lossPatience))
}

// seen is when the file was written, where its own time can be believed (a file may be moved here
// long after), or else when the first event told of it.
func (s *stage) seen() time.Time {
	if s.next != nil && s.next.info != nil {
		if written := s.next.info.ModTime(); written.Before(s.first) && s.first.Sub(written) < time.Second {
			return written
		}
	}
	return s.first
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
