package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// durationBounds are the upper bounds of the request duration histogram: Envoy's, from
// half a millisecond to an hour.
var durationBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
	10 * time.Minute, 30 * time.Minute, time.Hour,
}

const (
	// maxListeners and maxFlagged bound the series that a process can grow through
	// ever new listeners and combinations of flags; what is beyond counts as "other".
	maxListeners = 1024
	maxFlagged   = 64
	maxReasons   = 64
	other        = "other"
)

// requestMetrics counts exchanges. Every shard counts for itself under its own lock,
// which nobody else wants but for a scrape.
type requestMetrics struct {
	shards []metricShard
}

type metricShard struct {
	mu        sync.Mutex
	listeners []*requestCounts
	last      int // where the last exchange's listener was found
	_         [cacheLine]byte
}

// requestCounts are the counts of one listener.
type requestCounts struct {
	listener string
	// classes counts responses without flags by the first digit of their status; 0
	// holds those that got none.
	classes [6]uint64
	flagged map[flaggedKey]uint64
	// rejected counts the requests that the codec refused, by its reason.
	rejected map[string]uint64
	cors     [corsResults]uint64
	// buckets counts durations, each once, the last beyond all bounds.
	buckets        [len(durationBounds) + 1]uint64
	duration       time.Duration
	received, sent uint64
}

// flaggedKey is a status class and the flags of a response.
type flaggedKey struct {
	class int
	flags proxy.Flags
}

// otherFlags stands for combinations of flags beyond maxFlagged.
const otherFlags = ^proxy.Flags(0)

func newRequestMetrics(shards int) *requestMetrics {
	return &requestMetrics{shards: make([]metricShard, shards)}
}

// record counts an exchange.
func (m *requestMetrics) record(shard uint32, ex *proxy.Exchange) {
	s := &m.shards[shard]
	s.mu.Lock()
	s.counts(ex.Request.Listener).add(ex)
	s.mu.Unlock()
}

// counts finds a listener's counts, in one comparison where the shard's last exchange
// was of the same listener.
func (s *metricShard) counts(listener string) *requestCounts {
	if s.last < len(s.listeners) && s.listeners[s.last].listener == listener {
		return s.listeners[s.last]
	}
	for i, c := range s.listeners {
		if c.listener == listener {
			s.last = i
			return c
		}
	}
	if len(s.listeners) >= maxListeners {
		return s.overflow()
	}
	c := &requestCounts{listener: strings.Clone(listener)}
	s.last = len(s.listeners)
	s.listeners = append(s.listeners, c)
	return c
}

func (s *metricShard) overflow() *requestCounts {
	if last := s.listeners[len(s.listeners)-1]; last.listener == other {
		return last
	}
	c := &requestCounts{listener: other}
	s.listeners = append(s.listeners, c)
	return c
}

// add counts one exchange.
func (c *requestCounts) add(ex *proxy.Exchange) {
	class := ex.Status / 100
	if class < 0 || class >= len(c.classes) {
		class = 0
	}
	if ex.Flags == 0 {
		c.classes[class]++
	} else {
		c.addFlagged(flaggedKey{class, ex.Flags})
	}
	if ex.Flags&proxy.FlagDownstreamProtocolError != 0 && ex.Details != "" {
		c.addRejected(ex.Details)
	}
	if r := ex.Decision.Route; r != nil && r.CORS != nil {
		c.addCORS(ex)
	}
	took := max(0, time.Duration(ex.End-ex.Start))
	c.duration += took
	c.buckets[bucket(took)]++
	c.received += uint64(max(0, ex.BytesReceived))
	c.sent += uint64(max(0, ex.BytesSent))
}

func (c *requestCounts) addFlagged(k flaggedKey) {
	if c.flagged == nil {
		c.flagged = make(map[flaggedKey]uint64)
	}
	if _, known := c.flagged[k]; !known && len(c.flagged) >= maxFlagged {
		k.flags = otherFlags
	}
	c.flagged[k]++
}

func (c *requestCounts) addRejected(reason string) {
	if c.rejected == nil {
		c.rejected = make(map[string]uint64)
	}
	if _, known := c.rejected[reason]; !known {
		if reason = strings.Clone(reason); len(c.rejected) >= maxReasons {
			reason = other
		}
	}
	c.rejected[reason]++
}

// bucket returns the index of the first bound that d does not exceed. Most requests
// are quick, so counting up from the lowest is quick too.
func bucket(d time.Duration) int {
	for i, bound := range durationBounds {
		if d <= bound {
			return i
		}
	}
	return len(durationBounds)
}

// snapshot returns the sums over all shards, by listener.
func (m *requestMetrics) snapshot() map[string]*requestCounts {
	sums := make(map[string]*requestCounts)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, c := range s.listeners {
			sum := sums[c.listener]
			if sum == nil {
				sum = &requestCounts{listener: c.listener, flagged: make(map[flaggedKey]uint64), rejected: make(map[string]uint64)}
				sums[c.listener] = sum
			}
			sum.merge(c)
		}
		s.mu.Unlock()
	}
	return sums
}

func (c *requestCounts) merge(o *requestCounts) {
	for i, n := range o.classes {
		c.classes[i] += n
	}
	for k, n := range o.flagged {
		c.flagged[k] += n
	}
	for k, n := range o.rejected {
		c.rejected[k] += n
	}
	for i, n := range o.cors {
		c.cors[i] += n
	}
	for i, n := range o.buckets {
		c.buckets[i] += n
	}
	c.duration += o.duration
	c.received += o.received
	c.sent += o.sent
}
