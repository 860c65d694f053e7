package listener

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// busy is a session that ends at no other time than when it is killed.
type busy struct{ idle }

func (s *busy) CloseIdle() {}
func (s *busy) Kill()      { s.idle.CloseIdle() }

// TestMoreDemanded: a connection ends when its server asks for more than its client has shown: as
// in a drain, and where it does not end by that, after the time of grace. One that has shown
// enough goes on, and nothing is looked at while demands stay as they are.
func TestMoreDemanded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		meets, busy bool
		took        time.Duration // 0: it goes on
	}{
		"meets": {true, false, 0},
		"idle":  {false, false, watchEvery},
		"busy":  {false, true, watchEvery + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				var demands, looks, told atomic.Int64
				s := NewServer(Options{
					HTTP: func(conn net.Conn, _ []byte, _ *proxy.Connection) proxy.Session {
						session := idle{conn, make(chan struct{})}
						if tt.busy {
							return &busy{session}
						}
						return &session
					},
					Demands: func() uint64 { return uint64(demands.Load()) },
					Meets: func(*proxy.Connection) bool {
						looks.Add(1)
						return demands.Load() < 2 || tt.meets
					},
					Grace: time.Minute,
					Observe: func(e proxy.ConnEvent) {
						if e == proxy.ConnUnproven {
							told.Add(1)
						}
					},
				})
				defer s.shut()
				demands.Store(1)
				s.accept(theirs)
				time.Sleep(time.Hour)
				if looks.Load() != 1 || s.Connections() != 1 {
					t.Fatalf("before the change: %d looks, want 1; %d connections are open", looks.Load(), s.Connections())
				}
				demands.Store(2)
				changed := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					io.Copy(io.Discard, ours)
					ended <- time.Since(changed)
				}()
				time.Sleep(time.Hour)
				synctest.Wait()
				switch {
				case tt.took == 0:
					if s.Connections() != 1 || told.Load() != 0 || looks.Load() != 2 {
						t.Errorf("%d connections are open, %d were told of, after %d looks", s.Connections(), told.Load(), looks.Load())
					}
					ours.Close()
					s.each(nil, (*connection).kill)
				default:
					if took := <-ended; took > tt.took+watchEvery || took < tt.took-watchEvery || told.Load() != 1 {
						t.Errorf("it ended after %v, want %v, and was told of %d times", took, tt.took, told.Load())
					}
				}
				time.Sleep(2 * watchEvery)
			})
		})
	}
}

// TestServerGone: a connection to a server that is no more ends as soon as that loses nothing, and
// is never cut.
func TestServerGone(t *testing.T) {
	t.Parallel()
	for _, isBusy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			var tables, unproven atomic.Int64
			s := NewServer(Options{
				HTTP: func(conn net.Conn, _ []byte, _ *proxy.Connection) proxy.Session {
					session := idle{conn, make(chan struct{})}
					if isBusy {
						return &busy{session}
					}
					return &session
				},
				Demands: func() uint64 { return uint64(tables.Load()) },
				Meets:   func(*proxy.Connection) bool { return true },
				Serves:  func(*proxy.Connection) bool { return tables.Load() < 2 },
				Grace:   time.Minute,
				Observe: func(e proxy.ConnEvent) {
					if e == proxy.ConnUnproven {
						unproven.Add(1)
					}
				},
			})
			defer s.shut()
			tables.Store(1)
			s.accept(theirs)
			time.Sleep(time.Hour)
			tables.Store(2)
			time.Sleep(2 * watchEvery)
			synctest.Wait()
			if open := s.Connections() == 1; open != isBusy {
				t.Errorf("busy %t: it is open %t", isBusy, open)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if open := s.Connections() == 1; open != isBusy || unproven.Load() != 0 {
				t.Errorf("busy %t: an hour later it is open %t, and was told of %d times", isBusy, open, unproven.Load())
			}
			s.each(nil, (*connection).kill)
			time.Sleep(2 * watchEvery)
		})
	}
}
