package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// The times of a route begin when the request has come whole: a client that takes long to send
// its body is not cut off, and an upstream that takes long to answer it is.
func TestTimeoutsWaitForTheUpload(t *testing.T) {
	t.Parallel()
	const bound = 700 * time.Millisecond
	half := strings.Repeat("x", 30_000)
	stuck := func(c *originConn) { c.head(); io.Copy(io.Discard, c.br) }
	second := func(answers bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if !answers {
				<-r.Context().Done()
			}
			fmt.Fprint(w, "POST /\n", string(b))
		}
	}
	policies := map[string]router.RoutePolicy{
		"timeout":       {Timeout: bound},
		"perTryTimeout": {Retry: &router.Retry{On: router.RetryConnectFailure, Attempts: 1, PerTry: bound}},
	}
	for version, to := range map[string]func(answers bool) *router.Spec{
		"HTTP/1": func(answers bool) *router.Spec {
			if answers {
				return toOrigin(startOrigin(t, echo).addr)
			}
			return toOrigin(startOrigin(t, stuck).addr)
		},
		"HTTP/2": func(answers bool) *router.Spec { return toHTTP2(startHTTP2(t, second(answers))) },
	} {
		for name, policy := range policies {
			for _, head := range []string{"Content-Length: 60000", "Transfer-Encoding: chunked"} {
				for _, answers := range []bool{true, false} {
					t.Run(fmt.Sprint(version, ", ", name, ", ", head, ", answered: ", answers), func(t *testing.T) {
						t.Parallel()
						spec := to(answers)
						theRoute(spec).Policy = &policy
						c := dial(t, start(t, spec))
						first, last := half, half
						if strings.HasPrefix(head, "Transfer") {
							first, last = "7530\r\n"+half+"\r\n", "7530\r\n"+half+"\r\n0\r\n\r\n"
						}
						c.send(req("POST / HTTP/1.1", "Host: a", head) + first)
						<-time.After(2 * bound)
						sent := time.Now()
						c.send(last)
						a := c.read("POST")
						if answers && (a.StatusCode != 200 || a.body != "POST /\n"+half+half) {
							t.Errorf("answer %d, %d bytes", a.StatusCode, len(a.body))
						}
						if took := time.Since(sent); !answers && (a.StatusCode != 504 || took < bound-bound/8) {
							t.Errorf("answer %d after %v", a.StatusCode, took)
						}
					})
				}
			}
		}
	}
}
