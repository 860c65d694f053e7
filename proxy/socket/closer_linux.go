package socket

import (
	"os"
	"sync"
	"time"
)

// closer gives back the descriptors of connections that have ended, many at once: the runtime
// tells its scheduler of every close, which is as dear as ending the connection was. Meanwhile
// the peer has been told already.
type closer struct {
	mu    sync.Mutex
	files []*os.File
	timer *time.Timer
}

const (
	// mostEnded is how many descriptors are kept at most, and longestEnded for how long.
	mostEnded    = 32
	longestEnded = 50 * time.Millisecond
)

// add gives a descriptor back soon.
func (c *closer) add(f *os.File) {
	c.mu.Lock()
	c.files = append(c.files, f)
	n := len(c.files)
	switch {
	case n > 1:
	case c.timer == nil:
		c.timer = time.AfterFunc(longestEnded, c.flush)
	default:
		c.timer.Reset(longestEnded)
	}
	c.mu.Unlock()
	if n == mostEnded {
		go c.flush()
	}
}

// flush gives back what there is.
func (c *closer) flush() {
	c.mu.Lock()
	files := c.files
	c.files = nil
	c.mu.Unlock()
	for _, f := range files {
		f.Close()
	}
}
