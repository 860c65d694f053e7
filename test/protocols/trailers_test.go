package protocols

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// TestTrailersOfSizedBodies: the trailers of a request reach the endpoint whether or not the
// request says how long its body is, and a body without them keeps its length.
func TestTrailersOfSizedBodies(t *testing.T) {
	t.Parallel()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d bytes, length %d, sum %q, %v", len(body), r.ContentLength, r.Trailer.Get("x-sum"), err)
	}))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	ca := newAuthority(t)
	g := start(t, fmt.Sprintf(http3Manifests, port)+ca.secret(t, "shop", "shop.example.com", "partners.example.com"), []int{443}, "--http3")
	config := &tls.Config{RootCAs: ca.pool(), ServerName: "shop.example.com"}
	tcp := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	defer tcp.CloseIdleConnections()
	quic := &http3.Transport{TLSClientConfig: config}
	defer quic.Close()
	for name, transport := range map[string]http.RoundTripper{"HTTP/2": tcp, "HTTP/3": quic} {
		for _, size := range []int{5, 200_000} {
			for _, sized := range []bool{true, false} {
				for _, trailers := range []bool{true, false} {
					r, err := http.NewRequestWithContext(within(t), "POST", "https://"+g.at(443)+"/", strings.NewReader(strings.Repeat("x", size)))
					if err != nil {
						t.Fatal(err)
					}
					r.Host = "shop.example.com"
					if !sized {
						r.ContentLength = -1
					}
					length, sum := -1, ""
					if trailers {
						r.Trailer, sum = http.Header{"X-Sum": {"42"}}, "42"
					} else if sized {
						length = size
					}
					resp, err := transport.RoundTrip(r)
					if err != nil {
						t.Fatalf("%s, %d bytes: %v", name, size, err)
					}
					text, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					got, want := string(text), fmt.Sprintf("%d bytes, length %d, sum %q, <nil>", size, length, sum)
					// What is here before the request is passed on has a length.
					if got != want && got != strings.Replace(want, "length -1, sum \"\"", fmt.Sprintf("length %d, sum \"\"", size), 1) {
						t.Errorf("%s, sized %v, trailers %v: the endpoint got %s, want %s", name, sized, trailers, got, want)
					}
				}
			}
		}
	}
}
