package telemetry

import (
	"fmt"
	"os"
	"time"
)

// reopenInterval is how often a log file is looked for under its name.
const reopenInterval = time.Second

// logFile appends to a file, and opens it anew when another tool has moved or removed
// it (log rotation). One goroutine uses it.
type logFile struct {
	name   string
	file   *os.File
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

func openAppend(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// Write appends b.
func (l *logFile) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(l.looked) >= reopenInterval {
		l.looked = now
		l.reopen()
	}
	return l.file.Write(b)
}

// reopen follows the name to another file. Where that cannot be opened, the old file
// goes on.
func (l *logFile) reopen() {
	named, err := os.Stat(l.name)
	if err == nil {
		if have, err := l.file.Stat(); err == nil && os.SameFile(named, have) {
			return
		}
	}
	f, err := openAppend(l.name)
	if err != nil {
		return
	}
	l.file.Close()
	l.file = f
}

// Close closes the file.
func (l *logFile) Close() error { return l.file.Close() }
