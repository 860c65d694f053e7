package http3

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// TestMoreDemanded: when a server asks for more than a client has shown, its connection serves no
// further request, finishes what is in progress, and ends.
func TestMoreDemanded(t *testing.T) {
	t.Parallel()
	var demands, told atomic.Int64
	var old atomic.Pointer[proxy.Connection]
	demands.Store(1)
	s, c, url := serve(t, func(o *Options) {
		o.Demands = func() uint64 { return uint64(demands.Load()) }
		o.Meets = func(info *proxy.Connection) bool {
			old.CompareAndSwap(nil, info)
			return demands.Load() == 1 || info != old.Load()
		}
		o.Grace = time.Hour
		o.Observe = func(e proxy.ConnEvent) {
			if e == proxy.ConnUnproven {
				told.Add(1)
			}
		}
	})
	body, feed := io.Pipe()
	r, err := http.NewRequest("POST", url+"/echo", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "a.example.com"
	go io.WriteString(feed, "one")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}

	demands.Store(2)
	// The client learns that its request was not dealt with, and sends it on a new connection.
	if resp, _ := do(t, c, "GET", url+"/x", nil); resp.StatusCode != 200 || s.Connections() != 2 {
		t.Errorf("the next request: %d, with %d connections open, want the old one and a new one", resp.StatusCode, s.Connections())
	}
	io.WriteString(feed, "two")
	feed.Close()
	// What was sent last has time to arrive, and to be read, though the request is over.
	for until := time.Now().Add(20 * time.Second); s.active.Load() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	for until := time.Now().Add(3 * watchEvery); time.Now().Before(until); {
		if s.Connections() != 2 {
			t.Fatal("the connection was closed as soon as its last request was over")
		}
		time.Sleep(time.Millisecond)
	}
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "two" {
		t.Errorf("what was in progress came to %q, %v", text, err)
	}
	for until := time.Now().Add(20 * time.Second); s.Connections() > 1 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if s.Connections() != 1 || told.Load() != 1 {
		t.Errorf("%d connections are open, want the new one; %d were told of, want the old one", s.Connections(), told.Load())
	}
}
