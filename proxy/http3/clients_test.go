package http3

import (
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
)

// TestConnectionsPerClient: one client address has so many connections and no more, until one
// has ended.
func TestConnectionsPerClient(t *testing.T) {
	t.Parallel()
	var refused atomic.Int64
	s, first, url := serve(t, func(o *Options) {
		o.MaxConnectionsPerIP = 1
		o.Observe = func(e proxy.ConnEvent) {
			if e == proxy.ConnRefusedPerIP {
				refused.Add(1)
			}
		}
	})
	do(t, first, "GET", url+"/", nil)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com"}}
	defer transport.Close()
	second := &http.Client{Transport: transport, Timeout: 60 * time.Second}
	if resp, err := second.Get(url + "/"); err == nil {
		t.Errorf("a second connection is served: %s", resp.Status)
	}
	if n := refused.Load(); n == 0 || s.Connections() != 1 {
		t.Errorf("%d refused, %d open", n, s.Connections())
	}
	first.Transport.(*http3.Transport).Close()
	for s.Connections() > 0 || s.opening.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if resp, _ := do(t, second, "GET", url+"/", nil); resp.StatusCode != 200 {
		t.Errorf("after the first has ended: %s", resp.Status)
	}
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	if len(s.clients.open) != 1 {
		t.Errorf("%d clients are counted", len(s.clients.open))
	}
}
