package tcp

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// TestReports: bytes are told of while a connection lasts, each once, and those that are left
// at its end.
func TestReports(t *testing.T) {
	t.Parallel()
	var opened, received, sent atomic.Int64
	b := newBench(t, func(b *bench) {
		b.options.OnOpen = func(st *proxy.Stream) {
			if st.Connected == 0 || st.Endpoint == nil {
				t.Errorf("opened: %+v", st)
			}
			opened.Add(1)
		}
		b.options.OnMoved = func(_ *proxy.Stream, r, s int64) {
			received.Add(r)
			sent.Add(s)
		}
	})
	b.publish([]*router.StreamRoute{{Name: "r", Destinations: []router.Destination{{Cluster: "a"}}}}, cluster("a", nil, endpoint(t, false, echo)))
	conn := b.dial()
	say := func(s string) {
		if _, err := io.WriteString(conn, s); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len(s))); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	say("hello")
	if n := received.Load(); opened.Load() != 1 || n != 0 && time.Since(began) < reportInterval {
		t.Errorf("opened %d, received %d before the time to tell", opened.Load(), n)
	}
	// The bench looks at its sessions again and again, by the clock; these are looks ahead. Who
	// carries the bytes may be a little behind who gets them.
	for ahead := int64(1); received.Load() < 5 || sent.Load() < 5; ahead++ {
		b.each(func(s proxy.Session) { s.Check(proxy.Now() + ahead*int64(reportInterval)) })
		if time.Since(began) > patience {
			t.Fatal("nobody was told of the bytes")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if received.Load() != 5 || sent.Load() != 5 {
		t.Errorf("%d and %d bytes", received.Load(), sent.Load())
	}
	say("again")
	conn.Close()
	st := b.over()
	if st.BytesReceived != 10 || received.Load() != 10 || sent.Load() != st.BytesSent {
		t.Errorf("at the end %d and %d bytes, of %d and %d", received.Load(), sent.Load(), st.BytesReceived, st.BytesSent)
	}
}

// TestReportsNothing: a connection that comes to no endpoint is not opened, and moves nothing.
func TestReportsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) {
		b.options.OnOpen = func(*proxy.Stream) { t.Error("opened") }
		b.options.OnMoved = func(*proxy.Stream, int64, int64) { t.Error("moved") }
	})
	b.publish([]*router.StreamRoute{{Name: "r", Destinations: []router.Destination{{Cluster: "a"}}}}, cluster("a", nil))
	b.refused()
	if st := b.over(); st.Connected != 0 {
		t.Errorf("connected: %+v", st)
	}
}
