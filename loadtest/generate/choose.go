package generate

import (
	"strconv"
	"strings"
)

// chooser says which host and path the next request names.
type chooser struct {
	host, path numbered
	state      uint64
}

// numbered is a name with a number in it, of which there are so many; none has no number.
type numbered struct {
	before, after string
	of            int
}

func newChooser(l Load) *chooser {
	return &chooser{host: newNumbered(l.Host, l.Hosts), path: newNumbered(l.Path, l.RoutesPerHost), state: 1}
}

// newNumbered has the number in the place of the first 0.
func newNumbered(s string, of int) numbered {
	before, after, found := strings.Cut(s, "0")
	if !found || of <= 1 {
		return numbered{before: s}
	}
	return numbered{before, after, of}
}

// one tells that all requests are alike.
func (c *chooser) one() bool { return c.host.of == 0 && c.path.of == 0 }

// next chooses, in an order that looks random and is the same each time.
func (c *chooser) next() (host, path int) {
	if c.one() {
		return 0, 0
	}
	// Marsaglia's xorshift64.
	c.state ^= c.state << 13
	c.state ^= c.state >> 7
	c.state ^= c.state << 17
	return int(c.state>>33) % max(c.host.of, 1), int(c.state&0x7fff_ffff) % max(c.path.of, 1)
}

// append writes the name with a number.
func (n *numbered) append(b []byte, number int) []byte {
	b = append(b, n.before...)
	if n.of > 0 {
		b = strconv.AppendInt(b, int64(number), 10)
	}
	return append(b, n.after...)
}
