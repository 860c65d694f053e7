package forward_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// hashed is a spec over five origins, each of which answers with its own name.
func hashed(t *testing.T, p router.HashPolicy) *router.Spec {
	var addresses []string
	for i := range 5 {
		o := startOrigin(t, answering(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d", i)))
		addresses = append(addresses, o.addr)
	}
	spec := toOrigin(addresses...)
	spec.Clusters[0].Balancer, spec.Clusters[0].Hash = router.RingHash, &p
	return spec
}

// Requests with the same header go to the same endpoint, others to others.
func TestHashByHeader(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, hashed(t, router.HashPolicy{Kind: router.HashHeader, Name: "x-user"})))
	endpoints := map[string]bool{}
	for user := range 40 {
		header := fmt.Sprintf("X-User: user-%d", user)
		first := c.get("/", header).body
		endpoints[first] = true
		for range 3 {
			if again := c.get("/", header).body; again != first {
				t.Errorf("user %d went to %s and to %s", user, first, again)
			}
		}
	}
	if len(endpoints) != 5 {
		t.Errorf("40 users are on %d endpoints, want 5", len(endpoints))
	}
}

// A client without the cookie gets one, and with it stays where it is.
func TestHashByCookie(t *testing.T) {
	t.Parallel()
	g := start(t, hashed(t, router.HashPolicy{Kind: router.HashCookie, Name: "session", IssueCookie: true, TTL: time.Minute, Path: "/"}))
	c := dial(t, g)
	for range 10 {
		a := c.get("/")
		set := a.Header.Get("Set-Cookie")
		if !strings.Contains(set, "Max-Age=60") || !strings.Contains(set, "Path=/") || !strings.Contains(set, "HttpOnly") {
			t.Fatalf("set-cookie %q", set)
		}
		cookie, _, _ := strings.Cut(set, ";")
		for range 3 {
			again := c.get("/", "Cookie: a=b; "+cookie)
			if again.body != a.body || again.Header.Get("Set-Cookie") != "" {
				t.Errorf("went to %s with %s, then to %s, set-cookie %q", a.body, cookie, again.body, again.Header.Get("Set-Cookie"))
			}
		}
	}
}
