package telemetry

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// maxListeners bounds the listeners that are told apart, and maxAnswers what is told of
	// them; what is beyond counts as "other".
	maxListeners = 1024
	maxAnswers   = 1024
	other        = "other"
)

// answerMetrics counts what the proxy itself made of requests: those that it refused before
// routing, and what came of CORS policies. Most requests have nothing of that.
type answerMetrics struct{ shards []answerShard }

type answerShard struct {
	mu     sync.Mutex
	counts map[answerKey]uint64
	_      [cacheLine]byte
}

// answerKey is a reason to refuse, or what a CORS policy came to, at a listener.
type answerKey struct {
	listener, reason string
	cors             bool
}

func newAnswerMetrics(shards int) *answerMetrics {
	m := &answerMetrics{shards: make([]answerShard, shards)}
	for i := range m.shards {
		m.shards[i].counts = make(map[answerKey]uint64)
	}
	return m
}

// record counts an exchange.
func (m *answerMetrics) record(shard uint32, ex *proxy.Exchange) {
	if ex.Flags&proxy.FlagDownstreamProtocolError != 0 && ex.Details != "" {
		m.shards[shard].add(answerKey{listener: ex.Request.Listener, reason: ex.Details})
	}
	if r := ex.Decision.Route; r != nil && r.CORS != nil {
		if result := corsResultOf(ex); result != "" {
			m.shards[shard].add(answerKey{listener: ex.Request.Listener, reason: result, cors: true})
		}
	}
}

func (s *answerShard) add(k answerKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.counts[k]; !known {
		if len(s.counts) >= maxAnswers {
			k = answerKey{other, other, k.cors}
		}
		k.listener, k.reason = strings.Clone(k.listener), strings.Clone(k.reason)
	}
	s.counts[k]++
}

func (m *answerMetrics) collect(ch chan<- prometheus.Metric) {
	sums := make(map[answerKey]uint64)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for k, n := range s.counts {
			sums[k] += n
		}
		s.mu.Unlock()
	}
	for k, n := range sums {
		desc := rejectedDesc
		if k.cors {
			desc = corsDesc
		}
		counter(ch, desc, n, k.listener, k.reason)
	}
}

// corsResultOf returns what a route's CORS policy made of a request, empty where no page of
// another origin can have made it.
func corsResultOf(ex *proxy.Exchange) string {
	switch {
	case ex.Details == "cors_response":
		return "preflight"
	case ex.AllowedOrigin != "":
		return "allowed"
	}
	if origin, named := ex.Request.Header("origin"); named && origin != "" {
		return "refused"
	}
	return ""
}
