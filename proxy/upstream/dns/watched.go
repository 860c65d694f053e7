package dns

import (
	"io"
	"os"
	"sync"
	"time"
)

// maxFile bounds what is read of a file.
const maxFile = 1 << 20

// watched is what a file says. The file is read again when it has changed; what it said
// last holds while it cannot be read.
type watched[T any] struct {
	path  string
	parse func(text string) T

	mu       sync.Mutex
	value    T
	parsed   bool
	modified time.Time
	size     int64
}

func watch[T any](path string, parse func(text string) T) *watched[T] {
	return &watched[T]{path: path, parse: parse}
}

// get returns what the file says now.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, err := os.Stat(w.path)
	if err == nil && (!w.parsed || !info.ModTime().Equal(w.modified) || info.Size() != w.size) {
		if text, err := readFile(w.path); err == nil {
			w.value, w.parsed = w.parse(text), true
			w.modified, w.size = info.ModTime(), info.Size()
		}
	}
	if !w.parsed {
		w.value, w.parsed = w.parse(""), true
	}
	return w.value
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}
