package metrics

import (
	"slices"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxListeners and maxFlagged bound the series that a process can grow through ever new
	// listeners and combinations of flags; what is beyond counts as "other".
	maxListeners = 1024
	maxFlagged   = 64
)

// listenerSeries are the requests of one listener, whoever was called.
type listenerSeries struct {
	responses map[responseKey]uint64
	duration  Histogram
	changed   time.Time
	gone      bool
}

// responseKey is a class of responses: the first digit of the code, 0 for none, and the flags.
type responseKey struct {
	class uint16
	flags proxy.Flags
}

// otherFlags stands for combinations of flags beyond maxFlagged.
const otherFlags = ^proxy.Flags(0)

// listener returns the series of a key's listener.
func (m *Metrics) listener(k *key) *listenerSeries {
	name := k.listener
	if k.overflow {
		name = other
	}
	l := m.requests[name]
	if l == nil {
		if len(m.requests) >= maxListeners {
			name = other
		}
		if l = m.requests[name]; l == nil {
			l = &listenerSeries{responses: make(map[responseKey]uint64), duration: newHistogram(m.duration), changed: m.o.now()}
			m.requests[name] = l
		}
	}
	return l
}

// expireListeners drops the series of listeners that are gone. The caller holds m.mu.
func (m *Metrics) expireListeners(spec *router.Spec, now time.Time) {
	for name, l := range m.requests {
		if now.Sub(l.changed) < m.o.Expiry || slices.ContainsFunc(spec.Listeners, func(l *router.Listener) bool { return l.Name == name }) {
			continue
		}
		l.gone = true
		delete(m.requests, name)
	}
}

func (l *listenerSeries) add(d *delta, now time.Time) {
	if d.tally.requests == 0 {
		return
	}
	l.changed = now
	k := responseKey{d.entry.key.status / 100, d.entry.key.flags}
	if _, known := l.responses[k]; !known && len(l.responses) >= maxFlagged {
		k.flags = otherFlags
	}
	l.responses[k] += d.tally.requests
	l.duration.add(&d.tally.duration, float64(time.Second))
}

func (k responseKey) labels() (class, flags string) {
	if k.flags == otherFlags {
		return strconv.Itoa(int(k.class)) + "xx", other
	}
	return strconv.Itoa(int(k.class)) + "xx", k.flags.String()
}
