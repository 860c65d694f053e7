package metrics

import "time"

const (
	// drainBatch is how many entries are taken while a shard is locked.
	drainBatch = 32
	// idleDrains is how many drains without traffic an entry outlives.
	idleDrains = 12
)

// delta is what an entry had counted.
type delta struct {
	entry *entry
	tally tally
}

// drain moves what the shards counted into series. The caller holds m.mu.
func (m *Metrics) drain() {
	a, now := m.applied.Load(), m.o.now()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		m.taking = m.taking[:0]
		for _, e := range s.entries {
			m.taking = append(m.taking, e)
		}
		s.mu.Unlock()
		for list := m.taking; len(list) > 0; {
			n := min(drainBatch, len(list))
			s.take(list[:n], &m.batch)
			for j := range m.batch {
				m.merge(a, &m.batch[j], now)
			}
			list = list[n:]
		}
		clear(m.taking)
	}
	clear(m.batch[:cap(m.batch)])
	m.expire(now)
}

// take takes the counts of some entries, and drops those that nobody adds to any more.
func (s *shard) take(list []*entry, batch *[]delta) {
	*batch = (*batch)[:0]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		if e.tally.empty() {
			if e.idle++; e.idle >= idleDrains {
				s.drop(e)
			}
			continue
		}
		e.idle = 0
		*batch = append(*batch, delta{e, e.tally})
		e.tally = tally{}
	}
}

func (s *shard) drop(e *entry) {
	delete(s.entries, e.key)
	if slot := &s.recent[e.key.slot()]; *slot == e {
		*slot = nil
	}
}

func (t *tally) empty() bool {
	return t.requests == 0 && t.opened == 0 && t.closed == 0 && t.sent == 0 && t.received == 0
}

// merge adds an entry's counts to its series.
func (m *Metrics) merge(a *applied, d *delta, now time.Time) {
	e, t := d.entry, &d.tally
	if e.series.stale() {
		e.series = m.resolve(a, &e.key)
	}
	if e.series.beyond() {
		m.overflow += t.requests + t.opened
	}
	for i, s := range e.series.series {
		if s == nil {
			continue
		}
		s.changed = now
		switch metric(i) {
		case requestsTotal:
			s.value += float64(t.requests)
		case requestDuration:
			s.observe(&t.duration, float64(time.Millisecond))
		case requestBytes:
			s.observe(&t.request, 1)
		case responseBytes:
			s.observe(&t.response, 1)
		case requestMessages:
			s.value += float64(t.requestMessages)
		case responseMessages:
			s.value += float64(t.replyMessages)
		case tcpOpened:
			s.value += float64(t.opened)
		case tcpClosed:
			s.value += float64(t.closed)
		case tcpSent:
			s.value += float64(t.sent)
		case tcpReceived:
			s.value += float64(t.received)
		}
	}
	e.series.flow.add(d, now)
	e.series.listener.add(d, now)
}
