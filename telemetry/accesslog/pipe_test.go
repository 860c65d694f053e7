//go:build unix

package accesslog

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// TestPipeWithoutReader: a pipe that nobody reads from keeps nobody waiting who puts a
// configuration in force; it has its lines once somebody does.
func TestPipeWithoutReader(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{Stdout: io.Discard, Stderr: io.Discard, Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		l.Apply(outbound(router.AccessLog{File: name, Text: "%REQ(:PATH)%\n"}))
	}()
	select {
	case <-applied:
	case <-time.After(20 * time.Second):
		t.Error("the configuration waits for a reader of the pipe")
	}
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	<-applied
	lines := make(chan string)
	go func() {
		line, _ := bufio.NewReader(reader).ReadString('\n')
		lines <- line
	}()
	for {
		l.Complete(0, forwarded())
		select {
		case line := <-lines:
			if line != forwarded().Request.Path+"\n" {
				t.Errorf("got %q", line)
			}
			l.Close()
			return
		case <-time.After(linePace.delay):
		}
	}
}

// openPipe makes a named pipe that somebody has open, until the test ends.
func openPipe(t *testing.T) (name string, reader *os.File) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return name, reader
}

// TestPipeWithReaderAsleep: a pipe that somebody has open and does not read from ends as a log that
// is stuck, and leaves neither its goroutine nor its file behind; each line is counted.
func TestPipeWithReaderAsleep(t *testing.T) {
	t.Parallel()
	name, _ := openPipe(t)
	l, err := New(Options{File: name, Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	k := l.standard.sink
	const n = 2000 // more than a pipe holds
	for range n {
		l.Complete(0, forwarded())
	}
	l.Close()
	select {
	case <-k.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the goroutine is stuck for ever")
	}
	if err := k.out.(*logFile).file.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the pipe is still open: %v", err)
	}
	if lines, dropped, _ := l.Counts(); lines+dropped != n || lines == 0 || dropped == 0 {
		t.Errorf("%d lines and %d dropped, of %d", lines, dropped, n)
	}
}

// TestTornInPipe: a line that came to a pipe in part is followed by a new one.
func TestTornInPipe(t *testing.T) {
	t.Parallel()
	name, reader := openPipe(t)
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	long := strings.Repeat("x", 1<<21) + "\n" // more than a pipe holds
	written := make(chan int)
	go func() {
		n, err := f.write([]byte("whole\n" + long))
		if err == nil {
			t.Error("all is written")
		}
		written <- n
	}()
	const some = len("whole\nxxx")
	if _, err := io.ReadFull(reader, make([]byte, some)); err != nil {
		t.Fatal(err)
	}
	endWrites(f.file)
	n := <-written
	if _, err := io.ReadFull(reader, make([]byte, n-some)); err != nil {
		t.Fatal(err)
	}
	if err := f.file.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := f.write([]byte("next\n")); err != nil || n != len("next\n") {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	got := make([]byte, len("\nnext\n"))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "\nnext\n" {
		t.Errorf("got %q: %v", got, err)
	}
}
