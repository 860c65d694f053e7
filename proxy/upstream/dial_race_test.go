package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lanes are addresses that a race dials: each lets a connection after a while, or fails.
type lanes struct {
	mu     sync.Mutex
	began  time.Time
	dialed []string
	closed int
	after  map[string]time.Duration
	errs   map[string]error
}

type laneConn struct {
	net.Conn
	l       *lanes
	address string
}

func (c *laneConn) Close() error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.closed++
	return nil
}

func (l *lanes) dial(ctx context.Context, address string) (net.Conn, error) {
	l.mu.Lock()
	l.dialed = append(l.dialed, address+" at "+time.Since(l.began).String())
	l.mu.Unlock()
	timer := time.NewTimer(l.after[address])
	defer timer.Stop()
	// "deaf" lets a connection whatever was decided meanwhile.
	if address != "deaf" {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
	} else {
		<-timer.C
	}
	if err := l.errs[address]; err != nil {
		return nil, err
	}
	return &laneConn{l: l, address: address}, nil
}

func TestRace(t *testing.T) {
	t.Parallel()
	refused, unreachable := errors.New("refused"), errors.New("unreachable")
	const slow = time.Minute
	tests := map[string]struct {
		addresses []string
		after     map[string]time.Duration
		errs      map[string]error
		winner    string
		err       error
		dialed    []string
		took      time.Duration
		closed    int
	}{
		"one": {addresses: []string{"a"}, winner: "a", dialed: []string{"a at 0s"}},
		"the first is quick": {
			addresses: []string{"a", "b"}, after: map[string]time.Duration{"a": 200 * time.Millisecond},
			winner: "a", dialed: []string{"a at 0s"}, took: 200 * time.Millisecond,
		},
		"the first is slow": {
			addresses: []string{"a", "b", "c"}, after: map[string]time.Duration{"a": slow, "b": 100 * time.Millisecond},
			winner: "b", dialed: []string{"a at 0s", "b at 250ms"}, took: 350 * time.Millisecond,
		},
		"the first fails": {
			addresses: []string{"a", "b"}, errs: map[string]error{"a": unreachable},
			winner: "b", dialed: []string{"a at 0s", "b at 0s"},
		},
		"the first is late, and wins": {
			addresses: []string{"a", "b"}, after: map[string]time.Duration{"a": 300 * time.Millisecond, "b": slow},
			winner: "a", dialed: []string{"a at 0s", "b at 250ms"}, took: 300 * time.Millisecond,
		},
		"all fail": {
			addresses: []string{"a", "b"}, errs: map[string]error{"a": refused, "b": unreachable}, err: refused,
			dialed: []string{"a at 0s", "b at 0s"},
		},
		"the loser is closed": {
			addresses: []string{"deaf", "b"}, after: map[string]time.Duration{"deaf": time.Second},
			winner: "b", dialed: []string{"deaf at 0s", "b at 250ms"}, took: 250 * time.Millisecond, closed: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{began: time.Now(), after: test.after, errs: test.errs}
				conn, err := race(t.Context(), test.addresses, l.dial)
				took := time.Since(l.began)
				if err != test.err || took != test.took {
					t.Errorf("%v after %v, want %v after %v", err, took, test.err, test.took)
				}
				if test.err == nil && conn.(*laneConn).address != test.winner {
					t.Errorf("%s won, want %s", conn.(*laneConn).address, test.winner)
				}
				time.Sleep(slow)
				synctest.Wait()
				if !slices.Equal(l.dialed, test.dialed) || l.closed != test.closed {
					t.Errorf("dialled %v, closed %d; want %v, %d", l.dialed, l.closed, test.dialed, test.closed)
				}
			})
		})
	}
}

// A race ends with its context.
func TestRaceGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{began: time.Now(), after: map[string]time.Duration{"a": time.Minute, "b": time.Minute}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := race(ctx, []string{"a", "b"}, l.dial); !errors.Is(err, context.DeadlineExceeded) || time.Since(l.began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(l.began))
		}
	})
}
