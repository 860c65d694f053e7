package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// shardLimit is what a shard holds before it refuses lines, in bytes. At a hundred
	// thousand requests a second it lets the writer hang for 50 ms.
	shardLimit = 1 << 20
	// shardUrgent is the size from which a shard is written before its time.
	shardUrgent = 64 << 10
	// shardKeep is the largest buffer that is used again.
	shardKeep = 256 << 10
	// flushInterval is how long a line may wait for others.
	flushInterval = 100 * time.Millisecond
	// closePatience bounds how long Close waits for a writer that is stuck.
	closePatience = 2 * time.Second
)

// accessLog collects lines in shards and writes them from one goroutine of its own.
// The request path never waits for the writer: when that is stuck and a shard is
// full, lines are dropped and counted.
type accessLog struct {
	out    io.Writer
	logger *slog.Logger
	shards []logShard

	lines, dropped, failures atomic.Uint64
	// bad says that the last write failed; only the writing goroutine uses it.
	bad bool

	wake   chan struct{} // a shard has its first line
	urgent chan struct{} // a shard should be written now
	stop   chan struct{}
	done   chan struct{}
}

// logShard is a buffer that the request path fills and another that is being written.
type logShard struct {
	mu     sync.Mutex
	filled []byte
	spare  []byte
	_      [cacheLine]byte
}

// newline ends a line.
var newline = []byte{'\n'}

// newAccessLog starts the log; close ends it. It owns out only for writing.
func newAccessLog(out io.Writer, shards int, logger *slog.Logger) *accessLog {
	l := &accessLog{
		out:    out,
		logger: logger,
		shards: make([]logShard, shards),
		wake:   make(chan struct{}, 1),
		urgent: make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go l.run()
	return l
}

// record appends the exchange's line to a shard.
func (l *accessLog) record(shard uint32, ex *proxy.Exchange, start time.Time) {
	if s, before := l.enter(shard); s != nil {
		s.filled = appendAccessLine(s.filled, ex, start)
		l.leave(s, before)
	}
}

// recordStream appends the stream's line to a shard.
func (l *accessLog) recordStream(shard uint32, st *proxy.Stream, start time.Time) {
	if s, before := l.enter(shard); s != nil {
		s.filled = appendStreamLine(s.filled, st, start)
		l.leave(s, before)
	}
}

// enter locks a shard for a line, and returns how much it holds; nil where that is too much.
func (l *accessLog) enter(shard uint32) (s *logShard, before int) {
	s = &l.shards[shard]
	s.mu.Lock()
	before = len(s.filled)
	if before >= shardLimit {
		s.mu.Unlock()
		l.dropped.Add(1)
		return nil, 0
	}
	return s, before
}

// leave unlocks a shard that has a line more than before.
func (l *accessLog) leave(s *logShard, before int) {
	after := len(s.filled)
	s.mu.Unlock()
	switch {
	case before == 0:
		signal(l.wake)
	case before < shardUrgent && after >= shardUrgent:
		signal(l.urgent)
	}
}

// signal leaves a mark in a channel of size one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run sleeps until there is a line, lets others gather, and writes them together.
func (l *accessLog) run() {
	defer close(l.done)
	timer := time.NewTimer(flushInterval)
	for {
		select {
		case <-l.wake:
		case <-l.stop:
			l.flush()
			return
		}
		timer.Reset(flushInterval)
		select {
		case <-timer.C:
		case <-l.urgent:
		case <-l.stop:
		}
		l.flush()
	}
}

// flush writes what the shards hold.
func (l *accessLog) flush() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		b := s.filled
		s.filled, s.spare = s.spare[:0], nil
		s.mu.Unlock()
		if len(b) > 0 {
			l.write(b)
		}
		if cap(b) <= shardKeep {
			s.mu.Lock()
			s.spare = b[:0]
			s.mu.Unlock()
		}
	}
}

// write hands a shard's lines to the destination; those of a failed write are lost.
func (l *accessLog) write(b []byte) {
	n := uint64(bytes.Count(b, newline))
	_, err := l.out.Write(b)
	if err == nil {
		l.lines.Add(n)
		if l.bad {
			l.bad = false
			l.logger.Info("access log is written again")
		}
		return
	}
	l.dropped.Add(n)
	l.failures.Add(1)
	if !l.bad {
		l.bad = true
		l.logger.Error("access log cannot be written; its lines are dropped until it can", "error", err)
	}
}

// close writes what is left and ends the goroutine; a stuck writer is left behind
// after closePatience, and close then returns false.
func (l *accessLog) close() bool {
	close(l.stop)
	select {
	case <-l.done:
		return true
	case <-time.After(closePatience):
		l.logger.Error("access log is stuck; its last lines are lost")
		return false
	}
}
