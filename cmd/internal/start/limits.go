package start

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/role"
)

// count is a flag for a number, and its meaning of 0.
type count struct {
	value    *int
	name     string
	fallback int
	usage    string
	// endless: 0 means that there is no bound; else it makes no sense.
	endless bool
}

// counts are the limits that are numbers.
func (f *Flags) counts() []count {
	l, head := &f.Limits, http1.Limits{}.WithDefaults()
	return []count{
		{&l.Head.HeadBytes, "max-header-bytes", head.HeadBytes, "bytes that the head of a request or response may have, and its trailers again; more of a request is answered 431", false},
		{&l.Head.Fields, "max-header-fields", head.Fields, "header fields that a request or response may have; more of a request is answered 431", false},
		{&l.Head.TargetBytes, "max-target-bytes", head.TargetBytes, "bytes that a request's path and query may have; more is answered 414", false},
		{&l.MaxConnections, "max-connections", role.DefaultMaxConnections, "connections that a listener may have; more are answered 503; 0 for any number", true},
		{&l.MaxConnectionsPerIP, "max-connections-per-ip", 0, "connections that one client address may have at a listener; 0 for any number", true},
		{&l.MaxConnectionsTotal, "max-connections-total", role.DefaultMaxConnectionsTotal, "connections that all listeners may have together, at most half of the open files allowed; 0 for that many", true},
		{&l.MinBodyRate, "min-body-rate", 64, "bytes a second that a request body of known length must bring once it has taken 30 s, on average; then 408; 0 for any rate", true},
	}
}

// period is a flag for a duration; 0 means that there is no bound.
type period struct {
	value *time.Duration
	name  string
	usage string
}

// periods are the limits that are durations.
func (f *Flags) periods() []period {
	t := &f.Limits.Timeouts
	return []period{
		{&t.Head, "header-timeout", "how long a request's head may take from its first byte; then 408; 0 for any time"},
		{&t.Idle, "idle-timeout", "how long a connection may wait for its next request; 0 for any time"},
		{&t.Stream, "stream-idle-timeout", "how long nothing may move in an exchange, in either direction; then 504; 0 for any time"},
		{&t.Tunnel, "tunnel-idle-timeout", "how long nothing may move through an upgraded connection, such as a WebSocket; 0 for any time"},
	}
}

// addLimits declares the flags that bound what clients may take.
func (f *Flags) addLimits(flags *pflag.FlagSet) {
	for _, c := range f.counts() {
		flags.IntVar(c.value, c.name, c.fallback, c.usage)
	}
	f.Limits.Timeouts = f.Limits.Timeouts.WithDefaults()
	for _, t := range f.periods() {
		flags.DurationVar(t.value, t.name, *t.value, t.usage)
	}
}

// checkLimits reports what makes no sense, and turns 0 into what means no bound.
func (f *Flags) checkLimits() error {
	for _, c := range f.counts() {
		switch {
		case *c.value < 0:
			return Misusef("--%s %d: must not be negative", c.name, *c.value)
		case *c.value == 0 && !c.endless:
			return Misusef("--%s 0: nothing would be served; give at least 1", c.name)
		case *c.value == 0:
			*c.value = -1
		}
	}
	for _, t := range f.periods() {
		switch {
		case *t.value < 0:
			return Misusef("--%s %s: must not be negative", t.name, *t.value)
		case *t.value == 0:
			*t.value = -1
		}
	}
	return nil
}
