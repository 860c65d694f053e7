package role

import (
	"cmp"
	"log/slog"
	"math"

	"github.com/sluicegate/sluice/proxy/http1"
)

const (
	// DefaultMaxConnections bounds the connections of a listener, DefaultMaxConnectionsTotal
	// those of the process.
	DefaultMaxConnections      = 10_000
	DefaultMaxConnectionsTotal = 50_000
)

// Limits bound what clients may take of a process. A zero field takes its default; a
// negative duration or number of connections means no bound.
type Limits struct {
	// Head bounds the heads of requests and of upstreams' responses.
	Head http1.Limits
	// Timeouts bound how long clients may take.
	Timeouts http1.Timeouts
	// MaxConnections bounds the connections of each socket, MaxConnectionsPerIP those of
	// one client address at a socket (by default not at all), MaxConnectionsTotal those of
	// the process. The last is never more than half of the file descriptors that the
	// process may have, since each request may want one to its upstream too.
	MaxConnections, MaxConnectionsPerIP, MaxConnectionsTotal int
	// MinBodyRate is the least rate, in bytes a second, of a request body of known length
	// that has taken 30 s: 64.
	MinBodyRate int
}

func (l Limits) withDefaults(descriptors uint64, logger *slog.Logger) Limits {
	l.MaxConnections = unlimited(cmp.Or(l.MaxConnections, DefaultMaxConnections))
	l.MaxConnectionsPerIP = max(l.MaxConnectionsPerIP, 0)
	wanted := unlimited(cmp.Or(l.MaxConnectionsTotal, DefaultMaxConnectionsTotal))
	l.MaxConnectionsTotal = wanted
	if most := int(min(descriptors/2, math.MaxInt)); descriptors > 0 && wanted > most {
		l.MaxConnectionsTotal = most
		logger.Info("fewer connections than wanted fit into the limit of open files (ulimit -n)",
			"limit", descriptors, "max_connections_total", most, "wanted", wanted)
	}
	return l
}

// unlimited turns a negative bound into one that nothing reaches.
func unlimited(n int) int {
	if n < 0 {
		return math.MaxInt
	}
	return n
}

// pause waits between saying that the process is not ready and stopping to accept.
func (p *process) pause() {
	if p.o.LameDuck <= 0 {
		return
	}
	p.o.Logger.Info("not ready any more, but still accepting", "lame_duck", p.o.LameDuck)
	p.o.sleep(p.o.LameDuck)
}
