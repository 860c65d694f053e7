package forward_test

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/router"
)

// A question about a table is routed as the request would be.
func TestSeen(t *testing.T) {
	t.Parallel()
	list := func(pairs ...string) (l []router.Header) {
		for i := 0; i < len(pairs); i += 2 {
			l = append(l, router.Header{Name: pairs[i], Value: pairs[i+1]})
		}
		return l
	}
	proto := func(value string) []router.Header { return list("x-forwarded-proto", value) }
	tests := map[string]struct {
		mesh    bool
		hops    int
		headers []router.Header
		want    router.Request
	}{
		"a caller's word":        {false, 0, list("x-forwarded-proto", "https", "x-envoy-internal", "true", "a", "b"), router.Request{Headers: append(list("a", "b"), proto("http")...)}},
		"a trusted proxy's word": {false, 1, list("x-forwarded-proto", "https"), router.Request{Scheme: "https", Headers: proto("https")}},
		"a workload's word":      {true, 0, list("x-forwarded-proto", "https"), router.Request{Headers: proto("https")}},
		"of the connection":      {false, 0, list("te", "trailers", "keep-alive", "1"), router.Request{Headers: proto("http")}},
		"a WebSocket":            {false, 0, list("connection", "keep-alive, Upgrade", "upgrade", "websocket"), router.Request{Upgrade: "websocket", Connection: "keep-alive, Upgrade", Headers: proto("http")}},
		"no WebSocket":           {false, 0, list("upgrade", "websocket"), router.Request{Headers: proto("http")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &router.Request{Scheme: "http", Headers: test.headers}
			forward.Seen(r, test.mesh, test.hops)
			if test.want.Scheme == "" {
				test.want.Scheme = "http"
			}
			if got, want := fmt.Sprintf("%+v", *r), fmt.Sprintf("%+v", test.want); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
