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
)

// later is an error after which the same message may be sent again, not before after (0
// leaves that to the sender).
type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// retry calls try until it succeeds, fails for good, or there is no time left for another.
func (c *Client) retry(ctx context.Context, try func() error) error {
	for delay := firstDelay; ; delay = min(2*delay, maxDelay) {
		err := try()
		var l later
		if !errors.As(err, &l) {
			return err
		}
		pause := delay/2 + rand.N(delay)
		if l.after > 0 {
			pause = l.after
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
		case <-c.closing:
		}
		timer.Stop()
		return err
	}
}
