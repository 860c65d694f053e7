package accesslog

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// reopenInterval is how often a log file is looked for under its name.
const reopenInterval = time.Second

// pieceSize is how much is written at once, in bytes, where lines are no longer. That takes a few
// microseconds: writes that last make the runtime hand their processor to another thread and back.
// And the kernel finds the small pieces of memory for it among those that were used just now;
// bigger ones a virtual machine often has to get from its host.
const pieceSize = 16 << 10

// logFile appends to a file, and opens it anew when another tool has moved or removed
// it (log rotation). One goroutine uses it.
type logFile struct {
	name   string
	file   *os.File // nil while it cannot be opened
	looked time.Time
}

// openLogFile opens or creates the file, readable by its owner and group: a log holds
// addresses and paths of people.
func openLogFile(name string) (*logFile, error) {
	f, err := openAppend(name)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return &logFile{name: name, file: f, looked: time.Now()}, nil
}

// openAppend does not wait for somebody to read where the name is a pipe's: opening it fails
// until there is one.
func openAppend(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
}

// write appends b.
func (l *logFile) write(b []byte) error {
	if now := time.Now(); now.Sub(l.looked) >= reopenInterval || l.file == nil {
		l.looked = now
		if err := l.follow(); err != nil {
			return err
		}
	}
	for len(b) > 0 {
		n := pieceOf(b)
		if _, err := l.file.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pieceOf returns how many bytes of b to write at once: whole lines, as other processes may append
// to the same file, such as the one that takes over at a restart.
func pieceOf(b []byte) int {
	if len(b) <= pieceSize {
		return len(b)
	}
	if n := bytes.LastIndexByte(b[:pieceSize], '\n') + 1; n > 0 {
		return n
	}
	if n := bytes.IndexByte(b, '\n') + 1; n > 0 { // a line that is longer
		return n
	}
	return len(b)
}

// follow follows the name to another file. Where that cannot be opened, the old file
// goes on.
func (l *logFile) follow() error {
	if l.file != nil {
		named, err := os.Stat(l.name)
		if have, err2 := l.file.Stat(); err == nil && err2 == nil && os.SameFile(named, have) {
			return nil
		}
	}
	f, err := openAppend(l.name)
	switch {
	case err == nil:
		l.close()
		l.file = f
		return nil
	case l.file == nil:
		return err
	}
	return nil
}

// reopen follows the name now.
func (l *logFile) reopen() error {
	l.looked = time.Now()
	return l.follow()
}

// close closes the file.
func (l *logFile) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// abort does nothing: a write to a file that hangs cannot be ended.
func (l *logFile) abort() {}
