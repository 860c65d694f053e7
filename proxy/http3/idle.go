package http3

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// idle ends an exchange in which nothing moves while an upstream is at it.
type idle struct {
	timer   *time.Timer
	aborter *proxy.Aborter
	limit   time.Duration
	// moved is when something last moved.
	moved int64
}

// move notes that something moves.
func (st *stream) move() {
	st.mu.Lock()
	st.idle.moved = proxy.Now()
	st.mu.Unlock()
}

// watch begins to look at an upstream's part of the exchange; nil ends it. The caller holds mu.
func (st *stream) watch(a *proxy.Aborter) {
	if st.idle.timer != nil {
		st.idle.timer.Stop()
	}
	st.idle = idle{aborter: a, limit: st.idleTimeout(), moved: proxy.Now()}
	if a != nil && st.idle.limit > 0 {
		st.idle.timer = time.AfterFunc(st.idle.limit, func() { st.look(a) })
	}
}

// look aborts an upstream where nothing has moved for too long, or looks again later.
func (st *stream) look(a *proxy.Aborter) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.idle.aborter != a {
		return
	}
	if rest := st.idle.limit - time.Duration(proxy.Now()-st.idle.moved); rest > 0 {
		st.idle.timer.Reset(rest)
		return
	}
	st.timedOut = true
	st.server.observe(proxy.ConnStreamTimeout)
	a.Abort() // Under the lock: afterwards it may be at work for somebody else.
}
