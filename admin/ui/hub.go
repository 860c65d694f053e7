package ui

import (
	"context"
	"sync"
	"time"
)

// hub makes a snapshot each interval, as long as somebody listens, and no longer.
type hub struct {
	interval time.Duration
	max      int
	// collect asks every proxy. It returns soon after ctx ends.
	collect func(ctx context.Context) []answer

	mu        sync.Mutex
	listeners map[*listener]bool
	stop      context.CancelFunc // of the run that is going on
	latest    *snapshot          // nil where nobody listens
	number    uint64
}

// listener is one open page.
type listener struct {
	// wake has room for one, which is enough to say that there is something newer.
	wake chan struct{}
}

// join adds a page, or returns nil where there are too many.
func (h *hub) join() *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= h.max {
		return nil
	}
	l := &listener{wake: make(chan struct{}, 1)}
	if h.listeners == nil {
		h.listeners = make(map[*listener]bool)
	}
	h.listeners[l] = true
	if h.latest != nil {
		l.wake <- struct{}{}
	}
	if h.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		h.stop = stop
		go h.run(ctx)
	}
	return l
}

// leave takes a page away, and ends the work with the last.
func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
	if len(h.listeners) == 0 && h.stop != nil {
		h.stop()
		h.stop, h.latest = nil, nil
	}
}

// current returns the newest snapshot, nil before the first.
func (h *hub) current() *snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest
}

func (h *hub) run(ctx context.Context) {
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		told := h.collect(ctx)
		if !h.publish(ctx, told) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// publish tells the pages. It returns false where the run has ended: another may have begun.
func (h *hub) publish(ctx context.Context, told []answer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	h.number++
	h.latest = h.latest.follow(h.number, time.Now(), told)
	for l := range h.listeners {
		select {
		case l.wake <- struct{}{}:
		default: // it knows already
		}
	}
	return true
}
