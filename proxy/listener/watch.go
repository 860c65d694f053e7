package listener

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// watchEvery is how often the sessions are told to look for what has taken too long.
const watchEvery = 100 * time.Millisecond

// crowded is how many connections may have a goroutine, whose stack is kilobytes, before those
// that are idle are parked soon.
const crowded = 256

// watch has the sessions enforce their timeouts for as long as there are connections. That
// one look at all of them costs less than timers for each.
func (s *Server) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var list []*connection
	var memory release
	for range tick.C {
		if !s.watched() {
			return
		}
		s.count()
		now, demands := proxy.Now(), uint64(0)
		if s.options.Demands != nil {
			demands = s.options.Demands()
		}
		list = s.each(list, func(c *connection) { c.check(now, demands) })
		memory.follow(s.lot.Parked(), now)
	}
}

// watched tells whether there is something to watch. Where there is not, the next connection
// begins another watch.
func (s *Server) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = len(s.conns) > 0
	if !s.watching {
		s.lot.Close()
	}
	return s.watching
}

// count tells the lot whether there are many connections outside of it.
func (s *Server) count() { s.lot.SetCrowded(s.Connections()-s.lot.Parked() > crowded) }
