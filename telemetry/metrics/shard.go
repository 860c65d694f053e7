package metrics

import (
	"sync"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// slots is how many keys a shard finds without hashing them whole.
	slots = 128
	// maxEntries is how many keys a shard holds between two drains.
	maxEntries = 4096
	// cacheLine keeps neighbours in memory from sharing what processors fight over; two
	// lines, as they are fetched in pairs.
	cacheLine = 128
)

// shard is a part of the request path's counts, under a lock that mostly one processor wants.
type shard struct {
	mu      sync.Mutex
	entries map[key]*entry
	// recent has entries where recentSlot puts them, to be compared.
	recent [slots]*entry
	peers  peerCache
	// scratch is for values of expressions.
	scratch []byte
	_       [cacheLine]byte
}

// entry is what was counted under a key since the last drain.
type entry struct {
	key key
	tally
	// The rest belongs to the drain. idle counts the drains without traffic.
	idle   int
	series *resolved
}

// tally is what is counted.
type tally struct {
	requests                       uint64
	duration, request, response    counts
	requestMessages, replyMessages uint64
	opened, closed, sent, received uint64
}

// Complete counts an exchange that has ended. It allocates nothing in the steady state, and
// keeps nothing of ex.
func (m *Metrics) Complete(n uint32, ex *proxy.Exchange) {
	a, s := m.applied.Load(), &m.shards[n]
	s.mu.Lock()
	k := m.exchangeKey(s, a, ex)
	e := s.entry(&k)
	e.requests++
	e.duration.add(m.duration, ex.End-ex.Start)
	e.request.add(m.size, ex.HeadReceived+ex.BytesReceived)
	e.response.add(m.size, ex.HeadSent+ex.BytesSent)
	if k.kind == kindGRPC {
		e.requestMessages += ex.MessagesReceived
		e.replyMessages += ex.MessagesSent
	}
	s.mu.Unlock()
}

// StreamOpened counts a connection whose bytes begin to be carried, StreamMoved bytes that
// were, and StreamClosed that it is over. They keep nothing of st.
func (m *Metrics) StreamOpened(n uint32, st *proxy.Stream) { m.stream(n, st, tally{opened: 1}) }

// StreamMoved counts bytes from and to the client that no other call counts.
func (m *Metrics) StreamMoved(n uint32, st *proxy.Stream, received, sent int64) {
	m.stream(n, st, tally{received: uint64(max(received, 0)), sent: uint64(max(sent, 0))})
}

// StreamClosed counts the end of a connection, and as opened too one that came to no endpoint,
// as Istio does.
func (m *Metrics) StreamClosed(n uint32, st *proxy.Stream) {
	t := tally{closed: 1}
	if st.Connected == 0 {
		t.opened = 1
	}
	m.stream(n, st, t)
}

func (m *Metrics) stream(n uint32, st *proxy.Stream, t tally) {
	a, s := m.applied.Load(), &m.shards[n]
	s.mu.Lock()
	k := m.streamKey(s, a, st)
	e := s.entry(&k)
	e.opened += t.opened
	e.closed += t.closed
	e.received += t.received
	e.sent += t.sent
	s.mu.Unlock()
}

// entry finds a key's entry, mostly in one comparison.
func (s *shard) entry(k *key) *entry {
	slot := &s.recent[k.slot()]
	if e := *slot; e != nil && e.key == *k {
		return e
	}
	e := s.entries[*k]
	if e == nil {
		if len(s.entries) >= maxEntries {
			return s.beyond(k)
		}
		e = &entry{key: *k}
		s.entries[*k] = e
	}
	*slot = e
	return e
}

// beyond returns the entry of all keys that a shard has no room for.
func (s *shard) beyond(k *key) *entry {
	all := key{policy: k.policy, kind: k.kind, grpc: grpcNone, overflow: true}
	e := s.entries[all]
	if e == nil {
		e = &entry{key: all}
		s.entries[all] = e
	}
	return e
}

// slot spreads keys by what differs between them most often.
func (k *key) slot() uint64 {
	h := uint64(uintptr(unsafe.Pointer(k.endpoint)))>>4 ^ uint64(uintptr(unsafe.Pointer(k.cluster)))>>3 ^
		uint64(uintptr(unsafe.Pointer(k.caller)))>>5
	h ^= uint64(k.status)<<7 ^ uint64(k.flags)<<16 ^ uint64(k.grpc)<<40 ^ uint64(k.tags[0])<<48 ^ uint64(k.tags[1])<<56
	return h * 0x9e3779b97f4a7c15 >> 57
}
