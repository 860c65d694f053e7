package otlp

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxElapsed bounds all tries of one message together.
	maxElapsed = time.Minute
	// firstDelay and maxDelay are the pauses between tries, which double from one to the next
	// and are spread by a half.
	firstDelay = 500 * time.Millisecond
	maxDelay   = 5 * time.Second
	// maxPause bounds the pause that a collector may ask for.
	maxPause = 5 * time.Minute
)

var errPause = errors.New("the collector has asked for a pause, which is not over")

// later is an error after which the same message may be sent again, not before after (0
// leaves that to the sender).
type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// retry calls try until it succeeds, fails for good, or there is no time left for another.
func (c *Client) retry(ctx context.Context, try func() error) error {
	// A pause that was asked for holds for the messages after it.
	if err := c.wait(ctx, time.Until(time.Unix(0, c.resume.Load())), errPause); err != nil {
		return err
	}
	for delay := firstDelay; ; delay = min(2*delay, maxDelay) {
		err := try()
		var l later
		if !errors.As(err, &l) {
			return err
		}
		pause := delay/2 + rand.N(delay)
		if l.after > 0 {
			pause = min(l.after, maxPause)
			c.resume.Store(time.Now().Add(pause).UnixNano())
		}
		if err := c.wait(ctx, pause, err); err != nil {
			return err
		}
	}
}

// wait waits for so long, and returns err at once where that is longer than ctx has, or as soon as
// nothing is to be tried any more.
func (c *Client) wait(ctx context.Context, pause time.Duration, err error) error {
	if pause <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
	case <-c.closing:
	}
	return err
}
