package forward_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// A body that drips in is given up, one that comes at a fair rate is not.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		piece  int
		status int
	}{"drip": {1, 408}, "fair": {1000, 200}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, answering(okResponse))
			g := start(t, toOrigin(o.addr), func(s *setup) {
				s.server.MinBodyRate, s.server.MinBodyGrace = 1000, 300*time.Millisecond
			})
			c := dial(t, g)
			const pieces = 100
			// More than is waited for before a request is forwarded.
			first := make([]byte, 40<<10)
			c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n", len(first)+pieces*test.piece))
			if test.status == 200 {
				c.send(string(first))
				for range pieces {
					time.Sleep(10 * time.Millisecond)
					c.send(string(first[:test.piece]))
				}
			} else {
				go func() {
					for range pieces {
						if _, err := c.Write(first[:1]); err != nil {
							return
						}
						time.Sleep(30 * time.Millisecond)
					}
				}()
			}
			if a := c.read("POST"); a.StatusCode != test.status || a.Close != (test.status == 408) {
				t.Errorf("answer %d, close %v", a.StatusCode, a.Close)
			}
			if rec := g.completed(1); test.status == 408 && (rec.flags != "SI" || rec.details != "request_body_timeout") {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// Short of memory, connections end with their response; out of memory, requests are refused.
func TestPressure(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	var level atomic.Uint32
	now := func() proxy.Pressure { return proxy.Pressure(level.Load()) }
	g := start(t, toOrigin(o.addr), func(s *setup) { s.engine.Pressure, s.server.Pressure = now, now })
	for i, test := range []struct {
		level  proxy.Pressure
		status int
		close  bool
		flags  string
	}{{proxy.PressureNone, 200, false, "-"}, {proxy.PressureHigh, 200, true, "-"}, {proxy.PressureExtreme, 503, true, "OM"}} {
		level.Store(uint32(test.level))
		a := dial(t, g).get("/")
		rec := g.completed(i + 1)
		if a.StatusCode != test.status || a.Close != test.close || rec.flags != test.flags {
			t.Errorf("pressure %d: answer %d, close %v, flags %s", test.level, a.StatusCode, a.Close, rec.flags)
		}
		if test.status == 503 && a.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", a.Header)
		}
	}
}
