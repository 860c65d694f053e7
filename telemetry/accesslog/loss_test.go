package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// disk is a writer that is full after so many bytes.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// numbered is the line of an exchange whose request id is a number.
func numbered(t testing.TB, text string) lineFormat {
	t.Helper()
	f, err := Compile(text, false)
	if err != nil {
		t.Fatal(err)
	}
	return textLine(f)
}

// send records exchanges with these numbers as one batch, which it writes.
func (k *sink) send(line lineFormat, from, to int) {
	for i := from; i < to; i++ {
		ex := forwarded()
		ex.RequestID = fmt.Sprintf("%04d", i)
		k.record(0, line, atTestStart(ex, nil))
	}
	k.flush(false)
}

// still is a sink whose goroutine has ended, so that a test may flush.
func still(out destination, c *counts) *sink {
	k := newSink("test", out, linePace, 1, c, quiet)
	k.close()
	k.shards[0].closed = false
	return k
}

// TestFullDisk: of a batch that fits in part the lines that were written are counted so, and the
// one that was torn does not spoil the next.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	line := numbered(t, "%REQ(X-REQUEST-ID)%")
	for room, want := range map[int]string{
		0:  "0010\n0011\n",
		2:  "00\n0010\n0011\n",
		4:  "0000\n0010\n0011\n", // all but its end
		5:  "0000\n0010\n0011\n",
		12: "0000\n0001\n00\n0010\n0011\n",
	} {
		d, c := &disk{room: room}, &counts{}
		k := still(&stream{w: d}, c)
		k.send(line, 0, 5)
		k.send(line, 5, 10)
		d.room = 1000
		k.send(line, 10, 12)
		if d.String() != want {
			t.Errorf("with room for %d: %q, want %q", room, d.String(), want)
		}
		whole := uint64(room / 5)
		if c.lines.Load() != whole+2 || c.dropped.Load() != 10-whole || c.failures.Load() != 2 {
			t.Errorf("with room for %d: %d lines, %d dropped, %d failures", room, c.lines.Load(), c.dropped.Load(), c.failures.Load())
		}
	}
}

// TestFullDiskManyLinesEach: where lines have line ends within, none is counted twice or not at all.
func TestFullDiskManyLinesEach(t *testing.T) {
	t.Parallel()
	d, c := &disk{room: 27}, &counts{}
	k := still(&stream{w: d}, c)
	k.send(numbered(t, "%REQ(X-REQUEST-ID)%\nand more\n"), 0, 5) // 14 bytes each
	if c.lines.Load() != 1 || c.dropped.Load() != 4 {
		t.Errorf("%d lines, %d dropped of 5", c.lines.Load(), c.dropped.Load())
	}
}

// TestStuckAtTheEnd: of a destination that hangs, lines that will never be written are counted,
// those that come later too.
func TestStuckAtTheEnd(t *testing.T) {
	t.Parallel()
	out := &outlet{hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	c := &counts{}
	k := newSink("test", out, linePace, 2, c, quiet)
	k.one()
	<-out.entered
	for range 10 {
		k.one()
	}
	if k.close() {
		t.Fatal("closed although the writer hangs")
	}
	k.one()
	if n := c.dropped.Load(); n != 11 {
		t.Errorf("%d lines dropped, want 11", n)
	}
	close(out.hold)
	<-k.done
	if c.lines.Load() != 1 || c.dropped.Load() != 11 || len(out.lines()) != 1 {
		t.Errorf("%d lines written, %d counted, %d dropped", len(out.lines()), c.lines.Load(), c.dropped.Load())
	}
}

// TestFolderVanishes: lines do not go to a file that nobody can find any more. They are counted,
// and come again once there is a folder.
func TestFolderVanishes(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "logs")
	name := filepath.Join(folder, "access.log")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &counts{}
	k := still(f, c)
	f, err = openLogFile(name) // the sink has closed its own
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	k.out = f
	line := numbered(t, "%REQ(X-REQUEST-ID)%")
	send := func(n int) {
		f.looked = f.looked.Add(-2 * reopenInterval)
		k.send(line, n, n+1)
	}
	send(1)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	send(2)
	send(3)
	if c.lines.Load() != 1 || c.dropped.Load() != 2 {
		t.Errorf("%d lines, %d dropped, of three of which one can be found", c.lines.Load(), c.dropped.Load())
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	send(4)
	if got := read(t, name); got != "0004\n" || c.lines.Load() != 2 {
		t.Errorf("then %q, %d lines", got, c.lines.Load())
	}
}

// TestMovedFolder: a file that was only moved goes on where its name cannot be opened, and whoever
// asked for a new one is told.
func TestMovedFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "logs")
	name := filepath.Join(folder, "access.log")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	l, err := New(Options{File: name, Text: "%REQ(X-REQUEST-ID)%", Shards: 1, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder, folder+".1"); err != nil {
		t.Fatal(err)
	}
	l.Complete(0, forwarded())
	l.Reopen()
	await(t, func() bool { n, _, _ := l.Counts(); return n == 1 })
	l.Complete(0, forwarded())
	l.Close()
	if got := read(t, filepath.Join(folder+".1", "access.log")); strings.Count(got, "\n") != 2 {
		t.Errorf("the moved file holds %q", got)
	}
	if !strings.Contains(told.String(), "cannot be opened anew") {
		t.Errorf("nobody was told: %s", told.String())
	}
}

// TestRotations: renaming, copying and truncating, removing: every line is in one file, once.
func TestRotations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	var all strings.Builder
	send := func(s string) {
		f.looked = f.looked.Add(-2 * reopenInterval)
		if n, err := f.write([]byte(s)); err != nil || n != len(s) {
			t.Fatal(n, err)
		}
	}
	send("1\n")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	send("2\n")
	all.WriteString(read(t, name+".1") + read(t, name))
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	send("3\n")
	all.WriteString(read(t, name))
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	send("4\n")
	all.WriteString(read(t, name))
	if all.String() != "1\n2\n3\n4\n" {
		t.Errorf("got %q", all.String())
	}
}

// TestOneFileTwoFormats: lines of several logs in one file are whole.
func TestOneFileTwoFormats(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "access.log")
	l, err := New(Options{Shards: 2, Logger: quiet, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("%REQ(:PATH)% ", 20)
	l.Apply(outbound(router.AccessLog{File: name, Text: "a " + long + "z"}, router.AccessLog{File: name, JSON: true, Fields: []router.LogField{{Name: "p", Text: "%REQ(:PATH)%"}}}))
	const n = 300
	for i := range n {
		ex := forwarded()
		ex.Request.Path = "/" + strings.Repeat("p", i*10)
		l.Complete(uint32(i%2), ex)
	}
	l.Close()
	var texts, objects int
	for line := range strings.Lines(read(t, name)) {
		switch {
		case strings.HasPrefix(line, "a /") && strings.HasSuffix(line, " z\n"):
			texts++
		case strings.HasPrefix(line, `{"p":"/`) && strings.HasSuffix(line, "\"}\n"):
			objects++
		default:
			t.Fatalf("%.40q ... %q", line, line[max(0, len(line)-10):])
		}
	}
	if lines, dropped, _ := l.Counts(); texts != n || objects != n || lines != 2*n || dropped != 0 {
		t.Errorf("%d and %d of %d; %d counted, %d dropped", texts, objects, n, lines, dropped)
	}
}

// TestEveryLineIsCounted: while logs come and go, files are opened anew, and all ends in the middle
// of traffic, each line is in a file and counted as written, or counted as dropped.
func TestEveryLineIsCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := New(Options{File: filepath.Join(dir, "own"), Text: "%PROTOCOL%", Shards: 4, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 20_000
	var traffic sync.WaitGroup
	for shard := range uint32(writers) {
		traffic.Go(func() {
			ex := forwarded()
			for range each {
				l.Complete(shard, ex)
			}
		})
	}
	for i := range 40 {
		switch i % 4 {
		case 0:
			l.Apply(outbound(router.AccessLog{File: filepath.Join(dir, fmt.Sprint(i%3)), Text: "%PROTOCOL%"}))
		case 1:
			if err := os.Rename(filepath.Join(dir, "own"), filepath.Join(dir, fmt.Sprint("own.", i))); err != nil {
				t.Error(err)
			}
			l.Reopen()
			await(t, func() bool { _, err := os.Stat(filepath.Join(dir, "own")); return err == nil })
		case 2:
			l.Apply(nil)
		}
	}
	l.Close()
	traffic.Wait()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found uint64
	for _, f := range files {
		found += uint64(strings.Count(read(t, filepath.Join(dir, f.Name())), "HTTP/1.1\n"))
	}
	if lines, dropped, _ := l.Counts(); found != lines || lines+dropped != writers*each {
		t.Errorf("%d lines in %d files, %d counted, %d dropped of %d", found, len(files), lines, dropped, writers*each)
	}
}
