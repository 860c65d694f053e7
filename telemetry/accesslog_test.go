package telemetry

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

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// sink is a writer that can be held up and can fail.
type sink struct {
	mu      sync.Mutex
	b       bytes.Buffer
	writes  int
	fail    error
	entered chan struct{} // where not nil, told of each Write
	hold    chan struct{} // where not nil, Write waits for it
}

func (s *sink) Write(p []byte) (int, error) {
	if s.entered != nil {
		s.entered <- struct{}{}
	}
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.fail != nil {
		return 0, s.fail
	}
	return s.b.Write(p)
}

func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.b.String(), "\n"), "\n")
}

// TestLogKeepsEveryLine: what many goroutines write at once arrives whole, once, and in
// far fewer writes than lines.
func TestLogKeepsEveryLine(t *testing.T) {
	t.Parallel()
	out := &sink{}
	tel, err := New(Options{AccessLog: "-", Stdout: out, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			ex := forwarded()
			for range each {
				tel.Complete(ex)
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
	if got := tel.log.lines.Load(); got != writers*each {
		t.Errorf("counted %d lines", got)
	}
}

// TestLogIsSoonWritten: a single line does not wait for others for ever.
func TestLogIsSoonWritten(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	tel, err := New(Options{AccessLog: "-", Stdout: w, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	tel.Complete(forwarded())
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
	case <-time.After(10 * time.Second):
		t.Fatal("the line is not written")
	}
}

// TestStuckWriterNeverBlocks: the request path goes on, memory stays bounded, what is
// lost is counted, and the rest comes when the writer does.
func TestStuckWriterNeverBlocks(t *testing.T) {
	t.Parallel()
	out := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	l := newAccessLog(out, 1, quiet)
	ex := forwarded()
	l.record(0, ex, testStart)
	<-out.entered
	line := len(appendAccessLine(nil, ex, testStart))
	const extra = 1000
	n := shardLimit/line + extra
	for range n {
		l.record(0, ex, testStart)
	}
	dropped := l.dropped.Load()
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
	out := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	l := newAccessLog(out, 1, quiet)
	l.record(0, forwarded(), testStart)
	<-out.entered
	began := time.Now()
	if l.close() {
		t.Error("closed although the writer hangs")
	}
	if took := time.Since(began); took > closePatience+5*time.Second {
		t.Errorf("took %s", took)
	}
	close(out.hold)
	<-l.done
}

func TestFailedWritesAreCounted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	out := &sink{fail: errors.New("no space left on device")}
	l := newAccessLog(out, 1, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		l.record(0, forwarded(), testStart)
	}
	l.close()
	if l.dropped.Load() != 3 || l.failures.Load() != 1 || l.lines.Load() != 0 {
		t.Errorf("dropped %d, failures %d, lines %d", l.dropped.Load(), l.failures.Load(), l.lines.Load())
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
	defer func() { f.Close() }()
	write := func(s string) {
		t.Helper()
		f.looked = time.Time{}
		if _, err := f.Write([]byte(s)); err != nil {
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
	_, err := New(Options{AccessLog: filepath.Join(t.TempDir(), "missing", "access.log")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "access log: ") {
		t.Errorf("got %v", err)
	}
}
