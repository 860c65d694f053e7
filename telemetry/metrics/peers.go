package metrics

import (
	"sync"

	"github.com/sluicegate/sluice/telemetry/identity"
)

const (
	// maxPeers is how many workloads a proxy tells apart by what they say of themselves.
	maxPeers = 1024
	// maxPeerHeaders is how many different values of the header a shard remembers.
	maxPeerHeaders = 256
)

// peer is a workload at the other end, by its own word.
type peer struct{ identity.Workload }

// manyPeers stands for workloads beyond maxPeers.
var manyPeers = &peer{identity.Workload{Name: other, Namespace: other}}

// peerTable makes one peer of all the headers that name the same workload: there is a header
// for each of its pods.
type peerTable struct {
	mu   sync.Mutex
	byID map[identity.Workload]*peer
}

// peer returns that of a header's value; nil where it names nothing.
func (t *peerTable) peer(header string) *peer {
	w, err := identity.DecodePeer(header)
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.byID[w]
	if p == nil {
		if len(t.byID) >= maxPeers {
			return manyPeers
		}
		if t.byID == nil {
			t.byID = make(map[identity.Workload]*peer)
		}
		p = &peer{w}
		t.byID[w] = p
	}
	return p
}

// forget makes room for other workloads. Peers that are in use stay what they are.
func (t *peerTable) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byID) >= maxPeers {
		clear(t.byID)
	}
}

// peerCache has what headers came to.
type peerCache map[string]*peer

// lookup returns the peer that a header's value names; nil where it names none.
func (c *peerCache) lookup(t *peerTable, header string) *peer {
	if header == "" || len(header) > identity.MaxPeer {
		return nil
	}
	if p, known := (*c)[header]; known {
		return p
	}
	if *c == nil || len(*c) >= maxPeerHeaders {
		*c = make(peerCache)
	}
	p := t.peer(header)
	(*c)[string([]byte(header))] = p
	return p
}
