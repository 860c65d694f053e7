package apiserver

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is steady traffic to one host.
type load struct {
	stop chan struct{}
	runs sync.WaitGroup

	mu     sync.Mutex
	done   int
	failed []string
}

// load sends requests from several clients, one after the other with a short rest, until
// finish.
func (g *gateway) load(clients int, host, path string) *load {
	l := &load{stop: make(chan struct{})}
	for range clients {
		l.runs.Go(func() {
			for rest := time.NewTicker(2 * time.Millisecond); ; {
				select {
				case <-l.stop:
					rest.Stop()
					return
				case <-rest.C:
				}
				start := time.Now()
				status, _, err := g.get(host, path)
				l.count(start, status, err)
			}
		})
	}
	return l
}

func (l *load) count(start time.Time, status int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if err != nil || status != http.StatusOK {
		l.failed = append(l.failed, fmt.Sprintf("%s: %d %v", start.Format("15:04:05.000"), status, err))
	}
}

// finish ends the traffic; any request that failed fails the test, and so do few requests.
func (l *load) finish(t testing.TB, atLeast int) {
	t.Helper()
	close(l.stop)
	l.runs.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(l.failed), l.done, l.failed[0])
	}
	if l.done < atLeast {
		t.Errorf("only %d requests were sent: too few to tell anything", l.done)
	}
	t.Logf("%d requests, %d failed", l.done, len(l.failed))
}
