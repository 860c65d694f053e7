package forward_test

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// toOriginal is a spec whose every request goes where it says itself, at that port where it names
// none.
func toOriginal(port uint16) *router.Spec {
	spec := toOrigin()
	spec.Clusters[0].Resolution, spec.Clusters[0].Port = router.ResolutionOriginal, port
	return spec
}

// A request goes to the address that its authority names; an empty port is none.
func TestOriginalTarget(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	addr := netip.MustParseAddrPort(o.addr)
	port := strconv.Itoa(int(addr.Port()))
	g := start(t, toOriginal(addr.Port()))
	for _, host := range []string{o.addr, "127.0.0.1", "127.0.0.1:", "localhost", "localhost:", "localhost:" + port, "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:", "[::ffff:127.0.0.1]:" + port} {
		c := dial(t, g)
		c.send(req("GET / HTTP/1.1", "Host: "+host))
		if a := c.read("GET"); a.StatusCode != 200 {
			t.Errorf("%s: answer %d %q", host, a.StatusCode, a.body)
		}
	}
}

// A request that names the listener itself comes to an error, by whatever name.
func TestOriginalLoop(t *testing.T) {
	t.Parallel()
	g := start(t, toOriginal(0))
	_, port, _ := net.SplitHostPort(g.addr)
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "127.0.0.1"} {
		c := dial(t, g)
		c.send(req("GET / HTTP/1.1", "Host: "+host+":"+port))
		if a := c.read("GET"); a.StatusCode != 503 {
			t.Errorf("%s: answer %d %q", host, a.StatusCode, a.body)
		}
	}
	for i := range 5 {
		if rec := g.completed(i + 1); !strings.Contains(rec.failure, "listener") {
			t.Errorf("%d: record %+v", i, rec)
		}
	}
}
