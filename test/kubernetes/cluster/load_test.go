package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"
)

// load is steady traffic, half of it on connections that are kept, half on new ones.
type load struct {
	stop chan struct{}
	runs sync.WaitGroup

	mu     sync.Mutex
	done   int
	failed []string
}

// startLoad asks for a URL, as several clients, until finish.
func startLoad(clients int, url string) *load {
	l := &load{stop: make(chan struct{})}
	for i := range clients {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: i%2 == 0,
			DialContext:       (&net.Dialer{Timeout: 5 * time.Second}).DialContext, // an error of its own
		}}
		l.runs.Go(func() { l.run(client, url) })
	}
	return l
}

func (l *load) run(client *http.Client, url string) {
	defer client.CloseIdleConnections()
	rest := time.NewTicker(5 * time.Millisecond)
	defer rest.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-rest.C:
		}
		start := time.Now()
		var conn httptrace.GotConnInfo
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { conn = i }}), http.MethodGet, url, nil)
		if err != nil {
			panic(err) // a URL of the tests' own
		}
		response, err := client.Do(request)
		status, body := 0, []byte(nil)
		if err == nil {
			status = response.StatusCode
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		l.mu.Lock()
		l.done++
		if err != nil || status != http.StatusOK {
			l.failed = append(l.failed, fmt.Sprintf("%s: %d %q %v (connection used before: %v, from %v)", start.Format("15:04:05.000"), status, body, err, conn.Reused, local(conn)))
		}
		l.mu.Unlock()
	}
}

// local returns where a request came from.
func local(conn httptrace.GotConnInfo) string {
	if conn.Conn == nil {
		return "nowhere"
	}
	return conn.Conn.LocalAddr().String()
}

// finish ends the traffic; a request that failed fails the test, and so do too few.
func (l *load) finish(t *testing.T, atLeast int) {
	t.Helper()
	close(l.stop)
	l.runs.Wait()
	t.Logf("%d requests, %d failed", l.done, len(l.failed))
	for i, f := range l.failed {
		if i == 10 {
			break
		}
		t.Error(f)
	}
	if l.done < atLeast {
		t.Errorf("only %d requests were sent: too few to tell anything", l.done)
	}
}
