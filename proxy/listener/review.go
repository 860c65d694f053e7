package listener

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// review is what is known of whether a connection's client has shown what its server asks for.
type review struct {
	// seen is the count of demands at which it was found that the client has.
	seen uint64
	// ending is since when the connection is being ended, because it has not; 0 where it has.
	ending int64
	// gone: the server that the connection was made to is no more.
	gone bool
}

// examine ends the connection if its server asks for more by now than it did in the handshake, or
// is no more.
func (c *connection) examine(s proxy.Session, now int64, demands uint64) {
	o, r := &c.server.options, &c.review
	if demands != r.seen {
		r.seen = demands
		r.gone = o.Serves != nil && !o.Serves(c.info)
		if r.ending == 0 && !o.Meets(c.info) {
			r.ending = now
			c.server.observe(proxy.ConnUnproven)
		}
	}
	switch {
	case r.ending == 0:
		if r.gone {
			s.CloseIdle()
		}
	case time.Duration(now-r.ending) >= o.Grace:
		s.Kill()
	default:
		s.CloseIdle()
	}
}
