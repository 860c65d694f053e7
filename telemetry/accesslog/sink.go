package accesslog

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// shardLimit is what a shard holds before it refuses lines, in bytes. At a hundred
	// thousand requests a second it lets the writer hang for 60 ms.
	shardLimit = 2 << 20
	// shardKeep is the largest buffer that is used again: a shard goes on while it waits for
	// the writer.
	shardKeep = 256 << 10
	// batchLimit is how much of several shards goes together.
	batchLimit = 64 << 10
	// closePatience bounds how long close waits for a destination that is stuck.
	closePatience = 2 * time.Second
)

// pace says when lines are written: after the delay, or once a shard has so many bytes.
type pace struct {
	delay time.Duration
	full  int
}

// linePace is that of files and streams: what is filled and what is written should both stay in a
// processor's cache until the kernel has copied them. recordPace is that of collectors, for which
// each write is a call.
var (
	linePace   = pace{100 * time.Millisecond, 128 << 10}
	recordPace = pace{time.Second, 256 << 10}
)

// destination is where a sink's goroutine brings lines.
type destination interface {
	// write takes the lines of a shard, and keeps nothing of b. It returns how many bytes of them
	// were written.
	write(b []byte) (int, error)
	// reopen follows a file's name; others have nothing to do.
	reopen() error
	// abort makes a write that hangs return, where that can be; close lets go of everything.
	abort()
	close()
}

// counts are those of all sinks together.
type counts struct{ lines, dropped, failures atomic.Uint64 }

// sink collects lines in shards and writes them from one goroutine of its own.
// The request path never waits for the writer: when that is stuck and a shard is
// full, lines are dropped and counted.
type sink struct {
	name   string
	out    destination
	logger *slog.Logger
	counts *counts
	shards []shard
	pace   pace
	// batch has the lines of several shards that go together, and bad says that the last write
	// failed; only the writing goroutine uses them.
	batch      []byte
	batchLines uint64
	bad        bool

	wake   chan struct{} // a shard has its first line
	urgent chan struct{} // a shard should be written now
	anew   chan struct{} // the file should be opened anew
	stop   chan struct{}
	done   chan struct{}
}

// shard is a buffer that the request path fills and another that is being written.
type shard struct {
	mu     sync.Mutex
	filled []byte
	spare  []byte
	lines  uint64 // in filled
	closed bool
	_      [cacheLine]byte
}

// cacheLine keeps neighbours in memory from sharing what processors fight over.
const cacheLine = 128

// newSink starts a sink; close ends it, and its destination.
func newSink(name string, out destination, pace pace, shards int, c *counts, logger *slog.Logger) *sink {
	k := &sink{
		name:   name,
		out:    out,
		logger: logger,
		counts: c,
		shards: make([]shard, shards),
		pace:   pace,
		wake:   make(chan struct{}, 1),
		urgent: make(chan struct{}, 1),
		anew:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go k.run()
	return k
}

// record appends a line to a shard.
func (k *sink) record(at uint32, line lineFormat, s source) {
	h := &k.shards[at]
	h.mu.Lock()
	before := len(h.filled)
	if before >= shardLimit || h.closed {
		h.mu.Unlock()
		k.counts.dropped.Add(1)
		return
	}
	h.filled = line(h.filled, s)
	h.lines++
	after := len(h.filled)
	h.mu.Unlock()
	switch {
	case before == 0:
		signal(k.wake)
	case before < k.pace.full && after >= k.pace.full:
		signal(k.urgent)
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
func (k *sink) run() {
	defer func() {
		k.out.close()
		close(k.done)
	}()
	timer := time.NewTimer(k.pace.delay)
	for {
		select {
		case <-k.wake:
		case <-k.anew:
			k.flush(false)
			k.reopen()
			continue
		case <-k.stop:
			k.flush(true)
			return
		}
		timer.Reset(k.pace.delay)
		select {
		case <-timer.C:
		case <-k.urgent:
		case <-k.anew:
			k.flush(false)
			k.reopen()
			continue
		case <-k.stop:
		}
		k.flush(false)
	}
}

// flush writes what the shards hold, that of several together where it is little; with last
// they take no more.
func (k *sink) flush(last bool) {
	for i := range k.shards {
		h := &k.shards[i]
		h.mu.Lock()
		b, lines := h.filled, h.lines
		h.filled, h.spare, h.lines = h.spare[:0], nil, 0
		h.closed = h.closed || last
		h.mu.Unlock()
		switch {
		case len(b) > batchLimit:
			k.write(b, lines)
		case len(k.batch)+len(b) > batchLimit:
			k.writeBatch()
			fallthrough
		default:
			k.batch, k.batchLines = append(k.batch, b...), k.batchLines+lines
		}
		if cap(b) <= shardKeep {
			h.mu.Lock()
			h.spare = b[:0]
			h.mu.Unlock()
		}
	}
	k.writeBatch()
}

// writeBatch writes the batch, where there is something in it.
func (k *sink) writeBatch() {
	if len(k.batch) > 0 {
		k.write(k.batch, k.batchLines)
	}
	k.batch, k.batchLines = k.batch[:0], 0
}

// write hands a shard's lines to the destination; what is left of a failed write is lost.
func (k *sink) write(b []byte, lines uint64) {
	n, err := k.out.write(b)
	if err == nil {
		k.counts.lines.Add(lines)
		if k.bad {
			k.bad = false
			k.logger.Info("access log is written again", "to", k.name)
		}
		return
	}
	written := linesIn(b, n, lines)
	k.counts.lines.Add(written)
	k.counts.dropped.Add(lines - written)
	k.counts.failures.Add(1)
	if !k.bad {
		k.bad = true
		k.logger.Error("access log cannot be written; its lines are dropped until it can", "to", k.name, "error", err)
	}
}

// linesIn returns how many of the lines in b are in its first n bytes as a whole. Formats may have
// line ends within a line: then it is their share.
func linesIn(b []byte, n int, lines uint64) uint64 {
	const end = "\n"
	if n == 0 {
		return 0
	}
	return lines * uint64(bytes.Count(b[:n], []byte(end))) / uint64(max(1, bytes.Count(b, []byte(end))))
}

func (k *sink) reopen() {
	if err := k.out.reopen(); err != nil {
		k.logger.Error("access log cannot be opened anew", "to", k.name, "error", err)
	}
}

// close writes what is left and ends the goroutine, which closes the destination. One that is
// stuck is left behind after closePatience, and close then returns false. Call it once.
func (k *sink) close() bool {
	close(k.stop)
	select {
	case <-k.done:
		return true
	case <-time.After(closePatience):
		k.logger.Error("access log is stuck; its last lines are lost", "to", k.name)
		k.abandon()
		k.out.abort()
		return false
	}
}

// abandon drops what the shards hold, and what they are still to be given: it would neither be
// written nor counted otherwise.
func (k *sink) abandon() {
	for i := range k.shards {
		h := &k.shards[i]
		h.mu.Lock()
		k.counts.dropped.Add(h.lines)
		h.filled, h.spare, h.lines, h.closed = nil, nil, 0, true
		h.mu.Unlock()
	}
}

// stream is a destination that is there already, and is never closed.
type stream struct {
	w    io.Writer
	torn torn
}

func (s *stream) write(b []byte) (int, error) { return s.torn.write(s.w, b) }
func (s *stream) reopen() error               { return nil }
func (s *stream) abort()                      {}
func (s *stream) close()                      {}

// torn says that the last line was written in part. What comes next would be taken for its rest.
type torn bool

// write writes lines, on a new line after one that was torn, and returns how many bytes of b were
// written.
func (t *torn) write(w io.Writer, b []byte) (int, error) {
	if *t {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return 0, err
		}
	}
	n, err := w.Write(b)
	*t = n > 0 && b[n-1] != '\n'
	return n, err
}
