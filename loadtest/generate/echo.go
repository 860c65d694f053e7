package generate

import (
	"bytes"
	"errors"
)

// echo sends messages over TCP and expects them back.
type echo struct {
	plain
	message []byte
	lane    *lane
	got     int
}

func (e *echo) request(c *conn, l *lane) {
	e.lane = l
	c.out = append(c.out, e.message...)
}

func (e *echo) read(c *conn, p []byte) (int, error) {
	switch {
	case e.lane == nil || !e.lane.busy || len(p) > len(e.message)-e.got:
		return 0, errors.New("more came back than was sent")
	case !bytes.Equal(p, e.message[e.got:e.got+len(p)]):
		return 0, errors.New("what came back is not what was sent")
	}
	if e.got += len(p); e.got == len(e.message) {
		e.got = 0
		c.loop.done(e.lane, "")
	}
	return len(p), nil
}
