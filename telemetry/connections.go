package telemetry

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// connectionMetrics counts what happens to the connections of clients, by listener.
type connectionMetrics struct {
	mu     sync.Mutex
	events map[string]*connectionEvents
}

// connectionEvents are the counts of one listener, in the order of names.
type connectionEvents struct {
	names  []string
	counts []atomic.Uint64
}

var connectionEventsDesc = prometheus.NewDesc("sluice_downstream_connection_events_total",
	"What happened to connections of clients: opened, closed, refused by a limit, timed out.", []string{"listener", "event"}, nil)

// ConnectionEvents returns a counter of what happens to a listener's connections: it is
// called with an event's place in names. The same listener continues its counts.
func (t *Telemetry) ConnectionEvents(listener string, names []string) func(event int) {
	m := &t.connections
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) >= maxListeners && m.events[listener] == nil {
		listener = other
	}
	e := m.events[listener]
	if e == nil {
		if m.events == nil {
			m.events = make(map[string]*connectionEvents)
		}
		e = &connectionEvents{names: names, counts: make([]atomic.Uint64, len(names))}
		m.events[listener] = e
	}
	return func(event int) {
		if event >= 0 && event < len(e.counts) {
			e.counts[event].Add(1)
		}
	}
}

func (m *connectionMetrics) collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for listener, e := range m.events {
		for i, name := range e.names {
			counter(ch, connectionEventsDesc, e.counts[i].Load(), listener, name)
		}
	}
}
