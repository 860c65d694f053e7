package tcp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/proxy/upstream"
)

// side is one of the two connections of a session.
type side struct {
	conn net.Conn
	// sock drives conn where bytes go through buffers.
	sock socket.Socket
}

// session is a client's connection and, once it is connected, the endpoint's. Neither is
// closed before both directions have ended, so that the descriptors stay valid for as long
// as bytes move.
type session struct {
	options *Options
	early   []byte
	stream  proxy.Stream

	client, endpoint side
	// up carries from the client to the endpoint, down back.
	up, down direction
	cluster  *upstream.Cluster
	peer     *upstream.Endpoint

	// over stops what moves bytes. moved tells that some moved since the last Check.
	over, moved atomic.Bool

	mu      sync.Mutex
	aborter *proxy.Aborter
	cause   cause
	// connected tells that the endpoint's side may be touched; closed, that nothing may.
	connected, closed bool
	// since is when something was last seen to have moved. idle and until bound the time
	// in which nothing moves, and the whole; 0 for no bound.
	since, idle, until int64
	// reported is when OnMoved was last called; received and sent are what it was told.
	reported, received, sent int64
}

// cause says why a session ended.
type cause uint8

const (
	// causeNone: both sides have ended.
	causeNone cause = iota
	causeClient
	causeEndpoint
	causeIdle
	causeDuration
	causeKilled
	// causeClosed: a side cannot end by halves.
	causeClosed
)

// causes are what logs say of them, in Envoy's words where it has some.
var causes = [...]struct {
	termination string
	flags       proxy.Flags
	reset       bool
}{
	causeClient:   {"downstream_reset", proxy.FlagDownstreamTermination, true},
	causeEndpoint: {"upstream_reset", proxy.FlagUpstreamTermination, true},
	causeIdle:     {"tcp_session_idle_timeout", proxy.FlagStreamIdleTimeout, false},
	causeDuration: {"max_connection_duration_reached", proxy.FlagDurationTimeout, false},
	causeKilled:   {"drained", 0, true},
	causeClosed:   {},
}

// NewSession returns the session of a client's connection, of which early was read already;
// it is not kept beyond Serve.
func NewSession(conn net.Conn, early []byte, info *proxy.Connection, o *Options) proxy.Session {
	s := &session{options: o, early: early, client: side{conn: conn}, aborter: proxy.NewWaiter()}
	s.stream = proxy.Stream{Connection: info, Start: proxy.Now()}
	return s
}

// Serve implements proxy.Session.
func (s *session) Serve() {
	conn := s.connect()
	if conn == nil {
		reset(s.client.conn)
	} else {
		s.relay(conn)
	}
	s.end()
}

// relay moves the bytes of both sides until both have ended, or one ends both.
func (s *session) relay(conn net.Conn) {
	s.begin(conn)
	var back sync.WaitGroup
	back.Go(s.down.carry)
	s.up.carry()
	back.Wait()
}

// begin puts the endpoint's connection in its place.
func (s *session) begin(conn net.Conn) {
	s.endpoint.conn = conn
	s.up = direction{session: s, from: &s.client, to: &s.endpoint, early: s.early}
	s.down = direction{session: s, from: &s.endpoint, to: &s.client}
	s.early = nil // They are let go once they are written.
	s.prepare()
	now := proxy.Now()
	s.stream.Connected = now
	if s.options.OnOpen != nil {
		s.options.OnOpen(&s.stream)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected, s.since, s.reported = true, now, now
	if age := s.cluster.Spec.Pool.MaxConnectionAge; age > 0 {
		s.until = now + int64(age)
	}
	if s.cause != causeNone {
		s.interrupt()
	}
}

// end closes both connections and tells of them.
func (s *session) end() {
	s.mu.Lock()
	s.closed = true
	why := causes[s.cause]
	s.mu.Unlock()
	if why.reset {
		reset(s.client.conn)
		if s.endpoint.conn != nil {
			reset(s.endpoint.conn)
		}
	}
	s.client.conn.Close()
	if s.endpoint.conn != nil {
		s.cluster.Disconnect(s.peer, s.endpoint.conn)
	}
	st := &s.stream
	st.End = proxy.Now()
	st.BytesReceived, st.BytesSent = s.up.bytes.Load(), s.down.bytes.Load()
	st.Flags |= why.flags
	st.Termination = why.termination
	s.report()
	if s.options.OnComplete != nil {
		s.options.OnComplete(st)
	}
}

// report tells of the bytes that moved since it was last called.
func (s *session) report() {
	received, sent := s.up.bytes.Load(), s.down.bytes.Load()
	if s.options.OnMoved == nil || received == s.received && sent == s.sent {
		return
	}
	s.options.OnMoved(&s.stream, received-s.received, sent-s.sent)
	s.received, s.sent = received, sent
}

// reset ends a connection with a RST, and in TLS without a good word: its peer shall not
// take what it got for the whole. Closing the connection anew does nothing.
func reset(conn net.Conn) {
	carrier := conn
	if t, ok := conn.(*socket.TLS); ok {
		t.Mute()
		carrier = t.Beneath()
	}
	if l, ok := carrier.(interface{ SetLinger(sec int) error }); ok {
		l.SetLinger(0)
	}
	conn.Close()
}

// stop ends the session, for a cause that counts if it is the first.
func (s *session) stop(why cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.cause != causeNone {
		return
	}
	s.cause = why
	s.interrupt()
}

// interrupt wakes whoever waits for the session's connections, or for one. The caller holds
// mu.
func (s *session) interrupt() {
	s.over.Store(true)
	s.aborter.Abort()
	past := time.Unix(1, 0)
	s.client.conn.SetDeadline(past)
	if s.connected {
		s.endpoint.conn.SetDeadline(past)
	}
}

// Check implements proxy.Session. The time in which nothing moves counts from the Check that
// last saw something move.
func (s *session) Check(now int64) {
	why := s.overdue(now)
	if why == causeNone {
		return
	}
	if why == causeIdle && s.options.Observe != nil {
		s.options.Observe(proxy.ConnTunnelTimeout)
	}
	s.stop(why)
}

// overdue returns what has taken too long, or causeNone.
func (s *session) overdue(now int64) cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved.Load() {
		s.moved.Store(false)
		s.since = now
	}
	if s.connected && !s.closed && now-s.reported >= int64(reportInterval) {
		s.reported = now
		s.report()
	}
	switch {
	case !s.connected || s.closed || s.cause != causeNone:
		return causeNone
	case s.until > 0 && now >= s.until:
		return causeDuration
	case s.idle > 0 && now-s.since > s.idle:
		return causeIdle
	}
	return causeNone
}

// CloseIdle implements proxy.Session. Nothing tells when the end of the connection would
// lose nothing, so it goes on until the time of the drain is over, and Kill.
func (s *session) CloseIdle() {}

// Kill implements proxy.Session.
func (s *session) Kill() { s.stop(causeKilled) }
