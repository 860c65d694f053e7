package accesslog

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/expression"
	"github.com/sluicegate/sluice/telemetry/identity"
	"github.com/sluicegate/sluice/telemetry/otlp"
)

// Options say what the process logs where the configuration decides nothing, and how logs
// reach their places. Shards is required.
type Options struct {
	// File is the log of the process: a path, "-" or "/dev/stdout" for Stdout, "/dev/stderr"
	// for Stderr, or empty for none. Text is its format, DefaultText where it is empty. With
	// JSON its lines are objects, and Text is one of formats, DefaultFields where it is empty.
	File, Text string
	JSON       bool
	// Stdout and Stderr are never closed; nil means those of the process.
	Stdout, Stderr io.Writer
	// Shards is the number of shards that callers of Complete choose from.
	Shards int
	// Dial returns the way to a collector; nil is plain TCP.
	Dial func(*router.OTLP) otlp.Dial
	// Identity is who the records of a collector come from.
	Identity identity.Identity
	// Logger is told of trouble with the logs; nil means slog.Default().
	Logger *slog.Logger
}

// Logs are the access logs of a process. Complete and CompleteStream may be called from any
// goroutine, the others from one at a time.
type Logs struct {
	o        Options
	counts   counts
	standard *log // of the process, nil for none
	current  atomic.Pointer[directions]

	mu    sync.Mutex // for what follows
	sinks map[string]*sink
	logs  map[string]*log
	// closing are sinks that are not used any more.
	closing sync.WaitGroup
}

// directions are the logs in force.
type directions struct {
	outbound, inbound []*log
	wanted            wanted
}

// log is one in force: what a line looks like, which exchanges get one, and where it goes.
type log struct {
	line   lineFormat
	filter *expression.Program // nil for all
	sink   *sink
	wanted wanted
}

// New opens the log of the process. It fails where that cannot be opened, or its format is
// wrong.
func New(o Options) (*Logs, error) {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Logs{o: o, sinks: make(map[string]*sink), logs: make(map[string]*log)}
	if o.File != "" {
		spec, err := o.standard()
		if err != nil {
			return nil, fmt.Errorf("access log format: %w", err)
		}
		line, w, err := compileLine(&spec)
		if err != nil {
			return nil, fmt.Errorf("access log format: %w", err)
		}
		k, err := l.openFile(o.File)
		if err != nil {
			return nil, err
		}
		l.standard = &log{line: line, sink: k, wanted: w}
	}
	l.Apply(nil)
	return l, nil
}

// Complete writes the lines of an exchange that has ended. It is meant for the request path:
// it allocates nothing in the steady state, waits for no I/O and keeps nothing of ex.
func (l *Logs) Complete(shard uint32, ex *proxy.Exchange) {
	now := l.current.Load()
	logs := now.outbound
	if ex.Connection != nil && ex.Connection.Inbound {
		logs = now.inbound
	}
	for _, one := range logs {
		if one.filter != nil {
			if want, _ := one.filter.Bool(ex); !want {
				continue
			}
		}
		one.sink.record(shard, one.line, ofExchange(ex))
	}
}

// CompleteStream writes the lines of a connection that carried bytes and has ended.
func (l *Logs) CompleteStream(shard uint32, st *proxy.Stream) {
	now := l.current.Load()
	logs := now.outbound
	if st.Connection != nil && st.Connection.Inbound {
		logs = now.inbound
	}
	for _, one := range logs {
		if one.filter != nil {
			if want, _ := one.filter.BoolStream(st); !want {
				continue
			}
		}
		one.sink.record(shard, one.line, ofStream(st))
	}
}

// Apply puts the logs of a configuration in force; nil is one without. Logs that are as they
// were go on, and those that are not wanted any more end once their lines are written.
func (l *Logs) Apply(plan *router.Telemetry) {
	if plan == nil {
		plan = &router.Telemetry{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now, keep := &directions{}, make(map[string]*log)
	now.outbound = l.direction(&plan.Outbound, keep)
	now.inbound = l.direction(&plan.Inbound, keep)
	used := make(map[*sink]bool)
	for _, one := range append(append([]*log(nil), now.outbound...), now.inbound...) {
		now.wanted.add(one.wanted)
		used[one.sink] = true
	}
	if l.standard != nil {
		used[l.standard.sink] = true
	}
	l.logs = keep
	l.current.Store(now)
	for key, k := range l.sinks {
		if !used[k] {
			delete(l.sinks, key)
			l.closing.Go(func() { k.close() })
		}
	}
}

// direction returns the logs of one direction.
func (l *Logs) direction(p *router.TelemetryPolicy, keep map[string]*log) (logs []*log) {
	if !p.LogsDecided {
		if l.standard != nil {
			logs = append(logs, l.standard)
		}
		return logs
	}
	for i := range p.AccessLogs {
		spec := p.AccessLogs[i]
		origin := spec.Origin
		key := definition(spec)
		one := l.logs[key]
		if one == nil {
			one = keep[key]
		}
		if one == nil {
			var err error
			if one, err = l.open(&spec); err != nil {
				l.o.Logger.Error("access log is left out", "provider", spec.Provider, "from", origin, "error", err)
				continue
			}
		}
		keep[key] = one
		logs = append(logs, one)
	}
	return logs
}

// Wanted returns the names, in lower case, of the headers and trailers of responses that the
// logs in force ask for: they must be among Exchange.ResponseHeaders and ResponseTrailers.
func (l *Logs) Wanted() (headers, trailers []string) {
	w := l.current.Load().wanted
	return w.headers, w.trailers
}

// Counts are how many lines were written, and lost because the destination was too slow or
// failed, and how many writes have failed.
func (l *Logs) Counts() (lines, dropped, failures uint64) {
	return l.counts.lines.Load(), l.counts.dropped.Load(), l.counts.failures.Load()
}

// Reopen opens all files anew by their names, once what there is for the old ones is written.
func (l *Logs) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.sinks {
		signal(k.anew)
	}
}

// CloseCollectors sends what is left to collectors, waiting at most two seconds. Lines for them
// are dropped from then on.
func (l *Logs) CloseCollectors() {
	l.closeSinks(func(k *sink) bool { _, ok := k.out.(*collector); return ok })
}

// Close writes what is left, waiting at most two seconds for destinations that are stuck. Call
// it once, after the last Complete.
func (l *Logs) Close() { l.closeSinks(func(*sink) bool { return true }) }

func (l *Logs) closeSinks(which func(*sink) bool) {
	l.mu.Lock()
	for key, k := range l.sinks {
		if which(k) {
			delete(l.sinks, key)
			l.closing.Go(func() { k.close() })
		}
	}
	l.mu.Unlock()
	l.closing.Wait()
}
