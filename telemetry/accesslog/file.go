package accesslog

import (
	"bytes"
	"fmt"
	"os"
	"sync"
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
// it (log rotation). One goroutine uses it, and another may abort that.
type logFile struct {
	name   string
	file   *os.File // nil while it cannot be opened
	torn   torn
	looked time.Time

	mu      sync.Mutex // for who opens or aborts
	aborted bool
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
func (l *logFile) write(b []byte) (written int, err error) {
	if now := time.Now(); now.Sub(l.looked) >= reopenInterval || l.file == nil {
		l.looked = now
		if err := l.follow(); err != nil && l.file == nil {
			return 0, err
		}
	}
	for written < len(b) {
		rest := b[written:]
		n, err := l.torn.write(l.file, rest[:pieceOf(rest)])
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
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

// follow follows the name to another file. Where that cannot be opened, the old file goes on if
// it still has a name somewhere; else nobody would find what is written to it.
func (l *logFile) follow() error {
	var have os.FileInfo
	if l.file != nil {
		named, err := os.Stat(l.name)
		var err2 error
		if have, err2 = l.file.Stat(); err == nil && err2 == nil && os.SameFile(named, have) {
			return nil
		}
	}
	f, err := openAppend(l.name)
	if err == nil || have != nil && nameless(have) {
		l.use(f)
	}
	return err
}

// use goes on with another file, or with none.
func (l *logFile) use(f *os.File) {
	l.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.torn = f, false
	if l.aborted && f != nil {
		endWrites(f)
	}
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

// abort ends a write to a pipe that nobody reads from. One to a file that hangs cannot be ended.
func (l *logFile) abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborted = true
	if l.file != nil {
		endWrites(l.file)
	}
}

// endWrites has writes to a pipe fail from now on. Other files take no deadline.
func endWrites(f *os.File) { _ = f.SetWriteDeadline(time.Unix(1, 0)) }
