package accesslog

import (
	"fmt"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/expression"
	"github.com/sluicegate/sluice/telemetry/otlp"
)

// definition returns what is the same for logs that are, and for no others: in Go's syntax text ends
// where it ends, and no fields are not an empty list of them.
func definition(spec router.AccessLog) string {
	to := ""
	if spec.OTLP != nil {
		to = fmt.Sprintf("%#v", *spec.OTLP)
	}
	spec.Origin, spec.OTLP = router.Origin{}, nil
	return fmt.Sprintf("%#v %s", spec, to)
}

// open makes a log of its definition.
func (l *Logs) open(spec *router.AccessLog) (one *log, err error) {
	one = &log{}
	if one.line, one.wanted, err = compileLine(spec); err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	if spec.Filter != "" {
		if one.filter, err = expression.Compile(spec.Filter, expression.Condition); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		one.wanted.add(wanted{headers: one.filter.ResponseHeaders(), trailers: one.filter.ResponseTrailers()})
	}
	if spec.OTLP != nil {
		one.sink = l.openCollector(spec.OTLP)
		return one, nil
	}
	if one.sink, err = l.openFile(spec.File); err != nil {
		// It may be there later: lines are dropped until then.
		l.o.Logger.Error("access log cannot be opened; its lines are dropped until it can", "to", spec.File, "error", err)
		one.sink = l.start(spec.File, &logFile{name: spec.File})
	}
	return one, nil
}

// openFile returns the sink of a path, the running one where there is one.
func (l *Logs) openFile(name string) (*sink, error) {
	switch name {
	case "-", "/dev/stdout": // which cannot be opened where it is a socket
		return l.start("/dev/stdout", &stream{w: l.o.Stdout}), nil
	case "/dev/stderr":
		return l.start(name, &stream{w: l.o.Stderr}), nil
	}
	if k := l.sinks[name]; k != nil {
		return k, nil
	}
	f, err := openLogFile(name)
	if err != nil {
		return nil, err
	}
	return l.start(name, f), nil
}

// start returns the running sink of that name, or starts one.
func (l *Logs) start(name string, to destination) *sink {
	k := l.sinks[name]
	if k == nil {
		k = newSink(name, to, linePace, l.o.Shards, &l.counts, l.o.Logger)
		l.sinks[name] = k
	}
	return k
}

// openCollector returns the sink of a collector.
func (l *Logs) openCollector(to *router.OTLP) *sink {
	key := fmt.Sprintf("otlp %#v", *to)
	k := l.sinks[key]
	if k == nil {
		var dial otlp.Dial
		if l.o.Dial != nil {
			dial = l.o.Dial(to)
		}
		k = newSink(to.Address, newCollector(to, otlp.New(*to, dial, l.o.Logger), l.o.Identity), recordPace, l.o.Shards, &l.counts, l.o.Logger)
		l.sinks[key] = k
	}
	return k
}

// compileLine compiles what a log writes.
func compileLine(spec *router.AccessLog) (lineFormat, wanted, error) {
	if spec.OTLP == nil && spec.Text == "" && (spec.JSON || spec.Fields != nil) {
		fields := spec.Fields
		if fields == nil {
			fields = DefaultFields
		}
		o, w, err := compileFields(fields, spec.OmitEmpty)
		if err != nil {
			return nil, w, err
		}
		return o.line, w, nil
	}
	text := spec.Text
	if text == "" {
		text = DefaultText
	}
	f, err := Compile(text, spec.OmitEmpty)
	if err != nil {
		return nil, wanted{}, err
	}
	if spec.OTLP == nil {
		return textLine(f), f.wanted, nil
	}
	o, w, err := compileFields(spec.OTLP.Attributes, spec.OmitEmpty)
	if err != nil {
		return nil, w, err
	}
	w.add(f.wanted)
	return (&record{f, o}).line, w, nil
}
