package accesslog

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// theDefault returns the line of DefaultText.
var theDefault = sync.OnceValue(func() lineFormat {
	f, err := Compile(DefaultText, false)
	if err != nil {
		panic(err)
	}
	return textLine(f)
})

// one records an exchange.
func (k *sink) one() { k.record(0, theDefault(), atTestStart(forwarded(), nil)) }

// TestLogKeepsEveryLine: what many goroutines write at once arrives whole, once, and in
// far fewer writes than lines.
func TestLogKeepsEveryLine(t *testing.T) {
	t.Parallel()
	out := &outlet{}
	tel, err := New(Options{File: "-", Shards: 4, Stdout: out, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			ex := forwarded()
			for range each {
				tel.Complete(1, ex)
			}
		})
	}
	wg.Wait()
	tel.Close()
	lines := out.lines()
	if len(lines) != writers*each {
		t.Fatalf("got %d lines, want %d", len(lines), writers*each)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "[20") || !strings.HasSuffix(l, " - productpage") {
			t.Fatalf("a line is torn: %s", l)
		}
	}
	if out.writes > writers*each/10 {
		t.Errorf("%d writes for %d lines", out.writes, writers*each)
	}
	if got, _, _ := tel.Counts(); got != writers*each {
		t.Errorf("counted %d lines", got)
	}
}

// TestLogIsSoonWritten: a single line does not wait for others for ever.
func TestLogIsSoonWritten(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	tel, err := New(Options{File: "-", Shards: 4, Stdout: w, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	tel.Complete(0, forwarded())
	got := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 4096))
		got <- err
	}()
	select {
	case err := <-got:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the line is not written")
	}
}

// TestStuckWriterNeverBlocks: the request path goes on, memory stays bounded, what is
// lost is counted, and the rest comes when the writer does.
func TestStuckWriterNeverBlocks(t *testing.T) {
	t.Parallel()
	out := &outlet{hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	c := &counts{}
	l := newSink("test", out, linePace, 1, c, quiet)
	l.one()
	<-out.entered
	line := len(theDefault()(nil, atTestStart(forwarded(), nil)))
	const extra = 1000
	n := shardLimit/line + extra
	for range n {
		l.one()
	}
	dropped := c.dropped.Load()
	if dropped < extra-1 || dropped > extra {
		t.Errorf("dropped %d of %d, want %d", dropped, n, extra)
	}
	if have := len(l.shards[0].filled); have > shardLimit+line {
		t.Errorf("the shard holds %d bytes", have)
	}
	close(out.hold)
	if !l.close() {
		t.Fatal("the log did not end")
	}
	if got, want := uint64(len(out.lines())), uint64(n)+1-dropped; got != want {
		t.Errorf("wrote %d lines, want %d", got, want)
	}
}

// TestCloseLeavesStuckWriter: Close is bounded.
func TestCloseLeavesStuckWriter(t *testing.T) {
	t.Parallel()
	out := &outlet{hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	l := newSink("test", out, linePace, 1, &counts{}, quiet)
	l.one()
	<-out.entered
	began := time.Now()
	if l.close() {
		t.Error("closed although the writer hangs")
	}
	if took := time.Since(began); took > closePatience+20*time.Second {
		t.Errorf("took %s", took)
	}
	close(out.hold)
	<-l.done
}

func TestFailedWritesAreCounted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	out := &outlet{fail: errors.New("no space left on device")}
	c := &counts{}
	l := newSink("test", out, linePace, 1, c, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		l.one()
	}
	l.close()
	if c.dropped.Load() != 3 || c.failures.Load() != 1 || c.lines.Load() != 0 {
		t.Errorf("dropped %d, failures %d, lines %d", c.dropped.Load(), c.failures.Load(), c.lines.Load())
	}
	if !strings.Contains(log.String(), "no space left on device") {
		t.Errorf("nobody was told: %s", log.String())
	}
}

// TestLogFileFollowsRotation: after the file was renamed, lines go to a new one.
func TestLogFileFollowsRotation(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "access.log")
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { f.close() }()
	write := func(s string) {
		t.Helper()
		f.looked = time.Time{}
		if _, err := f.write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	write("two\n")
	for file, want := range map[string]string{name: "two\n", name + ".1": "one\n"} {
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", file, got, err, want)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v: others may read it", info.Mode(), err)
	}
}

func TestLogFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Shards: 1, File: filepath.Join(t.TempDir(), "missing", "access.log")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "access log: ") {
		t.Errorf("got %v", err)
	}
}

// TestPiecesAreWholeLines: whoever else appends to the file cannot come into the middle of a line.
func TestPiecesAreWholeLines(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("s", 99)+"\n", strings.Repeat("l", 2*pieceSize)+"\n"
	for _, lines := range []string{"", short, strings.Repeat(short, pieceSize/len(short)), strings.Repeat(short, 1000), long, short + long + short, strings.Repeat(long+short, 3), strings.TrimSuffix(long, "\n")} {
		rest := []byte(lines)
		for len(rest) > 0 {
			n := pieceOf(rest)
			if n == 0 || rest[n-1] != '\n' && n < len(rest) || n > pieceSize && bytes.IndexByte(rest[:n], '\n') < n-1 && bytes.IndexByte(rest[:n], '\n') >= 0 {
				t.Fatalf("a piece of %d of %d bytes", n, len(rest))
			}
			rest = rest[n:]
		}
	}
	name := filepath.Join(t.TempDir(), "access.log")
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	want := strings.Repeat(short, 1000) + long
	if _, err := f.write([]byte(want)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%d bytes of %d (%v)", len(got), len(want), err)
	}
}

// TestShardsShareWrites: little of several shards is one write, much of one is its own.
func TestShardsShareWrites(t *testing.T) {
	t.Parallel()
	out := &outlet{}
	c := &counts{}
	k := newSink("test", out, pace{time.Hour, linePace.full}, 4, c, quiet)
	line := len(theDefault()(nil, atTestStart(forwarded(), nil)))
	small, big := 3, linePace.full/line+1
	for i := range uint32(4) {
		for range small {
			k.record(i, theDefault(), atTestStart(forwarded(), nil))
		}
	}
	for range big { // which is urgent
		k.record(2, theDefault(), atTestStart(forwarded(), nil))
	}
	k.close()
	if got := len(out.lines()); got != 4*small+big || c.lines.Load() != uint64(got) {
		t.Errorf("%d lines, counted %d, want %d", got, c.lines.Load(), 4*small+big)
	}
	// What is urgent, what came with it, and what came after it.
	if out.writes > 3 {
		t.Errorf("%d writes", out.writes)
	}
}
