package filter

import (
	"cmp"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// MirrorOptions bound what mirrors may cost. 0 means the default.
type MirrorOptions struct {
	// MaxActive bounds the copies on their way, of which each has a goroutine and maybe a
	// connection: 1024. MaxPerCluster bounds those to one cluster: 256.
	MaxActive, MaxPerCluster int
	// MaxBody bounds a request's body, in bytes: 1 MiB. A larger one is not mirrored.
	MaxBody int
	// MaxMemory bounds the bytes of all copies together, heads and bodies: 64 MiB.
	MaxMemory int64
	// MaxResponse bounds what is read of a mirror's response, in bytes: 1 MiB. A larger
	// one costs the connection.
	MaxResponse int64
	// Timeout bounds a copy's whole way, from its being sent to the end of its response:
	// 10 s.
	Timeout time.Duration
	// PeerHeaders are added for endpoints behind a proxy of the mesh: see
	// forward.Options.PeerMetadata.
	PeerHeaders []router.Header
}

func (o MirrorOptions) withDefaults() MirrorOptions {
	o.MaxActive = cmp.Or(o.MaxActive, 1024)
	o.MaxPerCluster = cmp.Or(o.MaxPerCluster, 256)
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxMemory = cmp.Or(o.MaxMemory, 64<<20)
	o.MaxResponse = cmp.Or(o.MaxResponse, 1<<20)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	return o
}

// Mirrors sends copies of requests to clusters whose responses nobody waits for. What goes
// beyond its bounds is dropped, and counted. It is safe for concurrent use.
type Mirrors struct {
	options MirrorOptions
	active  atomic.Int64
	memory  atomic.Int64
	// clusters holds a *mirrorCluster by name.
	clusters sync.Map

	mu     sync.Mutex
	closed bool
	// sinks are those of the copies on their way.
	sinks map[*sink]struct{}
}

// NewMirrors returns a Mirrors with nothing on its way.
func NewMirrors(o MirrorOptions) *Mirrors {
	return &Mirrors{options: o.withDefaults(), sinks: make(map[*sink]struct{})}
}

// Send sends copies of a request, which must be as the upstream is to get it, to those of the
// route's mirrors whose share it falls into. clusters are those of the table, by ID. It takes
// as long as copying the request takes, and waits for nothing.
//
// A body that has not arrived whole is copied while it is read: then a Tee is returned, by
// which the exchange must be served in place of down, and which must be ended. It is nil in
// all other cases. An upgrade is not mirrored: a tunnel cannot be.
func (m *Mirrors) Send(ex *proxy.Exchange, route *router.CompiledRoute, clusters []*upstream.Cluster, random func() uint64, down proxy.Downstream) *Tee {
	if ex.Request.Upgrade != "" {
		return nil
	}
	var targets []target
	for i := range route.Mirrors {
		mirror := &route.Mirrors[i]
		if !falls(mirror.Fraction, random) {
			continue
		}
		t := target{counts: m.cluster(mirror.Cluster.Name), random: random()}
		if ex.Trace.Tracing != nil {
			binary.BigEndian.PutUint64(t.span[:], max(random(), 1))
		}
		t.counts.total.Add(1)
		if id := mirror.Cluster.ID; id >= 0 && id < len(clusters) && clusters[id] != nil {
			t.cluster = clusters[id]
			targets = append(targets, t)
		} else {
			t.counts.drop(DropNoCluster)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	return m.send(ex, targets, down)
}

// send copies the request for targets, and sends it or waits for its body.
func (m *Mirrors) send(ex *proxy.Exchange, targets []target, down proxy.Downstream) *Tee {
	if ex.Body.Kind == proxy.BodyLength && ex.Body.Length > int64(m.options.MaxBody) || len(ex.Payload) > m.options.MaxBody {
		dropAll(targets, DropBody)
		return nil
	}
	if ex.Buffered {
		// Where no copy can be sent, none is made.
		if targets = m.admit(targets); len(targets) == 0 {
			return nil
		}
	}
	c, ok := m.copy(ex)
	if !ok {
		if ex.Buffered {
			m.retreat(targets)
		}
		dropAll(targets, DropMemory)
		return nil
	}
	if !ex.Buffered {
		trace(ex, targets)
		return &Tee{Downstream: down, mirrors: m, copy: c, targets: targets}
	}
	if !c.take(ex.Payload, down.Trailers()) {
		c.free()
		m.retreat(targets)
		dropAll(targets, DropMemory)
		return nil
	}
	trace(ex, targets)
	m.launch(c, targets)
	return nil
}

// trace records the copies where the exchange's trace wants it. Nobody waits for their
// responses, so it cannot tell what they come to.
func trace(ex *proxy.Exchange, targets []target) {
	if !ex.Trace.Sampled {
		return
	}
	now := proxy.Now()
	for i := range targets {
		ex.Trace.Tries = append(ex.Trace.Tries, proxy.TracedTry{
			Span: targets[i].span, Cluster: targets[i].cluster.Spec, Start: now, End: now, Mirror: true,
		})
	}
}

// target is a cluster that gets a copy.
type target struct {
	cluster *upstream.Cluster
	counts  *mirrorCluster
	random  uint64
	// span is the copy's, where the request is traced.
	span [8]byte
}

func dropAll(targets []target, why DropReason) {
	for _, t := range targets {
		t.counts.drop(why)
	}
}

// admit returns those of targets to which a copy may go now, counted as on their way; the
// others are dropped.
func (m *Mirrors) admit(targets []target) []target {
	admitted := targets[:0]
	for _, t := range targets {
		switch {
		case m.active.Add(1) > int64(m.options.MaxActive):
			m.active.Add(-1)
			t.counts.drop(DropActive)
		case t.counts.active.Add(1) > int64(m.options.MaxPerCluster):
			t.counts.active.Add(-1)
			m.active.Add(-1)
			t.counts.drop(DropCluster)
		default:
			admitted = append(admitted, t)
		}
	}
	return admitted
}

// retreat takes admitted targets off their way.
func (m *Mirrors) retreat(targets []target) {
	for _, t := range targets {
		t.counts.active.Add(-1)
		m.active.Add(-1)
	}
}

// launch sends a whole copy on its way to admitted targets.
func (m *Mirrors) launch(c *requestCopy, targets []target) {
	c.users.Store(int32(len(targets)))
	for _, t := range targets {
		go m.deliver(c, t)
	}
}

// deliver sends a copy to a target, and drops the response.
func (m *Mirrors) deliver(c *requestCopy, t target) {
	defer m.retreat([]target{t})
	defer c.release()
	s := &sink{left: m.options.MaxResponse, trailers: c.trailers}
	if !m.enter(s) {
		t.counts.drop(DropClosed)
		return
	}
	defer m.leave(s)
	d := delivery{copy: c, target: t, sink: s, until: proxy.Now() + int64(m.options.Timeout)}
	if d.run() {
		t.counts.success.Add(1)
	} else {
		t.counts.failed.Add(1)
	}
}

func (m *Mirrors) enter(s *sink) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.sinks[s] = struct{}{}
	return true
}

func (m *Mirrors) leave(s *sink) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sinks, s)
}

// Close ends the copies on their way, and drops all that would follow. It does not wait for
// them.
func (m *Mirrors) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for s := range m.sinks {
		s.abort()
	}
}
