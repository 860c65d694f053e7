package forward

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// FuzzForwardedFor holds that no more of x-forwarded-for is believed, or goes on, than what the
// trusted hops wrote.
func FuzzForwardedFor(f *testing.F) {
	f.Add("192.0.2.9, 192.0.2.1", "198.51.100.1", 1)
	f.Add("", ",,", 2)
	f.Add("::1 ,\t::ffff:192.0.2.1", " ", 3)
	f.Fuzz(func(t *testing.T, first, second string, hops int) {
		if hops < 0 || hops > 10 {
			t.Skip()
		}
		peer := netip.MustParseAddrPort("203.0.113.1:9")
		ex := &proxy.Exchange{Remote: peer, Client: peer.Addr()}
		ex.Request.Headers = []router.Header{{Name: "x-forwarded-for", Value: first}, {Name: "x-a", Value: "a"}, {Name: "x-forwarded-for", Value: second}}
		e := &Engine{options: Options{TrustedHops: hops}}
		e.identify(ex)
		value, n := "", 0
		for _, h := range ex.Request.Headers {
			if h.Name == "x-forwarded-for" {
				value, n = h.Value, n+1
			}
		}
		all := strings.Split(strings.Trim(first+", "+second, ", \t"), ",")
		switch {
		case n != min(hops, 1), len(ex.Request.Headers) != n+1:
			t.Fatalf("%d hops: %+v", hops, ex.Request.Headers)
		case hops == 0 && ex.Client != peer.Addr():
			t.Fatalf("nobody is trusted, and the client is %v", ex.Client)
		case strings.Count(value, ",") >= max(hops, 1):
			t.Fatalf("%d hops wrote %q", hops, value)
		case ex.Client != peer.Addr() && !strings.Contains(strings.Join(all, ","), strings.TrimSpace(strings.Split(value, ",")[0])):
			t.Fatalf("the client is %v of %q", ex.Client, value)
		}
	})
}

// FuzzGRPCTimeout holds that a grpc-timeout is at most what is told, and that what is told of it
// is valid and no less.
func FuzzGRPCTimeout(f *testing.F) {
	for _, s := range []string{"1n", "99999999H", "10S", "0m", "", "1", "100000000u", "-1S"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		asked, ok := parseGRPCTimeout(s)
		if !ok {
			return
		}
		if asked <= 0 || asked > maxGRPCTimeout {
			t.Fatalf("%q is %v", s, asked)
		}
		told := string(appendGRPCTimeout(nil, asked))
		again, ok := parseGRPCTimeout(told)
		if !ok || again < asked && again != maxGRPCTimeout {
			t.Fatalf("%q is %v, told as %q, which is %v", s, asked, told, again)
		}
	})
}
