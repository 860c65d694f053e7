package http2

import (
	"net"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// Options are what the sessions of a listener have in common. The zero value of every field
// but Handler is usable, see WithDefaults.
type Options struct {
	// Handler serves the exchanges.
	Handler proxy.Handler
	// PortFromAuthority takes the port that a request is for from its authority (a
	// sidecar's plain outbound listener); 80 where it names none.
	PortFromAuthority bool
	Limits            http1.Limits
	Policy            http1.Policy
	Timeouts          http1.Timeouts
	// MinBodyRate and MinBodyGrace are as in http1.Options.
	MinBodyRate  int
	MinBodyGrace time.Duration
	// MaxConcurrentStreams bounds the streams that a client may have open, and the exchanges
	// that are served at a time: 100.
	MaxConcurrentStreams int
	// StreamWindow and ConnectionWindow are what a client may send of bodies before we have
	// dealt with it: 64 KiB and 1 MiB. Less than 64 KiB is not used.
	StreamWindow, ConnectionWindow int
	// ConnectionHeadBytes bounds the heads and trailers of the requests that a client has in
	// progress on a connection, all together: 1 MiB. Streams beyond are refused.
	ConnectionHeadBytes int
	// MaxConnectionAge is how long a connection is used before the client is told to make
	// another; 0 for ever.
	MaxConnectionAge time.Duration
	Abuse            AbuseLimits
	// Pressure, where not nil, says how short of memory the process is. It is asked at each
	// response: from proxy.PressureHigh on, connections are not kept.
	Pressure func() proxy.Pressure
	// Observe is told what happens to connections, for metrics; it may be nil.
	Observe func(proxy.ConnEvent)
}

// AbuseLimits bound what a client may make us do beside serving requests. A connection that
// passes one ends with ENHANCE_YOUR_CALM. A zero field takes its default.
type AbuseLimits struct {
	// Resets bounds the streams that end within ResetPeriod (10 s) before they were
	// answered, by the client or for its mistakes: 100. Beyond 2 x MaxConcurrentStreams
	// streams, they must not be more than half of all either. One that the client leaves
	// amid its response counts if that is sooner than ShortLife (1 s) after it was opened:
	// players that seek do so, and clients of endless streams, but not at once.
	Resets      int
	ResetPeriod time.Duration
	ShortLife   time.Duration
	// QueuedControlFrames bounds the answers to PING and SETTINGS, and the resets, that a
	// client does not read: 1000.
	QueuedControlFrames int
	// SettingsFrames bounds the SETTINGS frames within ResetPeriod: 100.
	SettingsFrames int
	// EmptyFrames bounds the frames in a row that say nothing: DATA, HEADERS and
	// CONTINUATION without payload that end nothing: 1.
	EmptyFrames int
	// SmallContinuations bounds the CONTINUATION frames of a header block that hold less
	// than 256 bytes and do not end it: 8.
	SmallContinuations int
	// PriorityFrames bounds PRIORITY frames, for each stream that was opened, and one more: 100.
	PriorityFrames int
	// WindowUpdates bounds WINDOW_UPDATE frames for each DATA frame that was sent: 10, on
	// top of 5 and 1 for each stream, all of it twice.
	WindowUpdates int
	// Stall is how long a client may leave a response, or all of them, without a window to
	// go on: 30 s. Then the stream, or the connection, ends.
	Stall time.Duration
	// Write is how long a client may read nothing while there is something for it: 10 s.
	Write time.Duration
}

func (l AbuseLimits) withDefaults() AbuseLimits {
	for _, v := range []struct {
		value    *int
		fallback int
	}{{&l.Resets, 100}, {&l.QueuedControlFrames, 1000}, {&l.SettingsFrames, 100}, {&l.EmptyFrames, 1},
		{&l.SmallContinuations, 8}, {&l.PriorityFrames, 100}, {&l.WindowUpdates, 10}} {
		if *v.value == 0 {
			*v.value = v.fallback
		}
	}
	for _, v := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&l.ResetPeriod, 10 * time.Second}, {&l.ShortLife, time.Second}, {&l.Stall, 30 * time.Second}, {&l.Write, 10 * time.Second}} {
		if *v.value == 0 {
			*v.value = v.fallback
		}
	}
	return l
}

// WithDefaults returns o with its zero fields filled in. Sessions want such Options.
func (o Options) WithDefaults() *Options {
	o.Limits = o.Limits.WithDefaults()
	o.Timeouts = o.Timeouts.WithDefaults()
	o.Abuse = o.Abuse.withDefaults()
	if o.MinBodyRate == 0 {
		o.MinBodyRate = 64
	}
	if o.MinBodyGrace == 0 {
		o.MinBodyGrace = 30 * time.Second
	}
	if o.MaxConcurrentStreams == 0 {
		o.MaxConcurrentStreams = 100
	}
	if o.ConnectionWindow == 0 {
		o.ConnectionWindow = 1 << 20
	}
	if o.ConnectionHeadBytes == 0 {
		o.ConnectionHeadBytes = 1 << 20
	}
	o.StreamWindow = max(o.StreamWindow, 64<<10)
	o.ConnectionWindow = max(o.ConnectionWindow, o.StreamWindow)
	return &o
}

func (o *Options) observe(e proxy.ConnEvent) {
	if o.Observe != nil {
		o.Observe(e)
	}
}

// NewSession returns the session of a client's connection, of which early was read already.
// The options must be complete (Options.WithDefaults).
func NewSession(conn net.Conn, early []byte, info *proxy.Connection, o *Options) proxy.Session {
	return newSession(conn, early, info, o)
}
