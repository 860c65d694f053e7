//go:build unix

package accesslog

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
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
