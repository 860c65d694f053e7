package generate

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// TestIdle keeps connections open after a request on each.
func TestIdle(t *testing.T) {
	t.Parallel()
	for _, inTLS := range []bool{false, true} {
		var requests atomic.Int64
		addr := serve(t, inTLS, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
		target := load(addr, work.HTTP1, 0).Target
		if target.TLS = inTLS; inTLS {
			target.Protocol = work.HTTPS
		}
		closeAll, err := Idle(t.Context(), target, 100)
		if err != nil {
			t.Fatal(err)
		}
		closeAll()
		if n := requests.Load(); n != 100 {
			t.Errorf("%d requests on 100 connections", n)
		}
	}
	addr := serve(t, false, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	if _, err := Idle(t.Context(), load(addr, work.HTTP1, 0).Target, 10); err == nil {
		t.Error("connections that the server closed count as idle")
	}
}

// TestCancelled ends when the context does.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for _, p := range []work.Protocol{work.HTTP1, work.Handshake} {
		l := load(serve(t, p == work.Handshake, body(1)), p, 1)
		l.Duration = time.Minute
		if _, err := Open(ctx, l); err == nil {
			t.Errorf("%s: no error", p)
		}
	}
}
