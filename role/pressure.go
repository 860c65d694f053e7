package role

import (
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// highPressure and extremePressure are shares of the memory limit that is in use.
	highPressure    = 0.95
	extremePressure = 0.98
	// pressureEvery is how often memory is looked at.
	pressureEvery = 500 * time.Millisecond
)

// pressure follows how much of the process's memory limit (GOMEMLIMIT, or what the
// container may have) is in use. Without a limit there is never any pressure.
type pressure struct {
	level  atomic.Uint32
	logger *slog.Logger
	// used returns the bytes in use, limit those that may be.
	used, limit func() uint64
	// relief gives memory back.
	relief func()
}

func newPressure(logger *slog.Logger) *pressure {
	return &pressure{logger: logger, used: memoryInUse, limit: memoryLimit, relief: debug.FreeOSMemory}
}

// now returns the pressure as it was last seen. It is safe for concurrent use.
func (p *pressure) now() proxy.Pressure { return proxy.Pressure(p.level.Load()) }

// follow looks at memory until stop is closed.
func (p *pressure) follow(stop <-chan struct{}) {
	tick := time.NewTicker(pressureEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p.look()
			pace()
		}
	}
}

// look sets the level. Where there is pressure it first has memory given back, and counts
// what is left in use then.
func (p *pressure) look() {
	level := p.measure()
	if level != proxy.PressureNone {
		p.relief()
		level = p.measure()
	}
	if before := proxy.Pressure(p.level.Swap(uint32(level))); before != level {
		p.logger.Warn("memory pressure has changed", "from", pressureNames[before], "to", pressureNames[level],
			"in_use", p.used(), "limit", p.limit())
	}
}

var pressureNames = [...]string{proxy.PressureNone: "none", proxy.PressureHigh: "high", proxy.PressureExtreme: "extreme"}

func (p *pressure) measure() proxy.Pressure {
	limit := p.limit()
	if limit == 0 {
		return proxy.PressureNone
	}
	switch share := float64(p.used()) / float64(limit); {
	case share >= extremePressure:
		return proxy.PressureExtreme
	case share >= highPressure:
		return proxy.PressureHigh
	default:
		return proxy.PressureNone
	}
}

// memoryLimit returns the runtime's memory limit, 0 for none.
func memoryLimit() uint64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0
	}
	return uint64(limit)
}

// memoryInUse returns what the process holds: what the runtime has mapped, but for what it
// has given back and what its heap has free.
func memoryInUse() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(samples)
	used := samples[0].Value.Uint64()
	for _, s := range samples[1:] {
		used -= s.Value.Uint64()
	}
	return used
}
