package forward_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// A try's time is for the response to begin: a long download is not cut for it, nor does the
// time of all tries stop to count.
func TestPerTryTimeoutIsForTheHead(t *testing.T) {
	t.Parallel()
	const perTry = 400 * time.Millisecond
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			c.SetReadDeadline(time.Now().Add(3 * perTry))
			if _, err := c.br.ReadByte(); err == io.EOF {
				return // given up
			}
			c.SetReadDeadline(time.Time{})
			c.send("67890")
		}
	})
	second := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "12345")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(3 * perTry):
			io.WriteString(w, "67890")
		}
	}))
	for name, spec := range map[string]*router.Spec{"HTTP/1": toOrigin(o.addr), "HTTP/2": toHTTP2(second)} {
		// A machine that stands still makes any try a slow one.
		thePolicy(spec).Retry = &router.Retry{On: router.RetryReset, Attempts: 1000, PerTry: perTry, Backoff: time.Millisecond}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, spec)
			if a := dial(t, g).get("/"); a.body != "1234567890" {
				t.Errorf("body %q", a.body)
			}
			if rec := g.completed(1); rec.flags != "-" {
				t.Errorf("record %+v", rec)
			}
		})
		t.Run(name+", the route's time runs out", func(t *testing.T) {
			t.Parallel()
			bounded := *spec
			r := copyOf(theRoute(spec))
			policy := *r.Policy
			policy.Timeout = 2 * perTry
			r.Policy = &policy
			bounded.Listeners = withRoutes(nil, r).Listeners
			g := start(t, &bounded)
			c := dial(t, g)
			c.send(get())
			if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
				t.Fatalf("%q %v", head, err)
			}
			if rest, _ := io.ReadAll(c.br); strings.Contains(string(rest), "67890") {
				t.Errorf("body %q", rest)
			}
			if rec := g.completed(1); rec.flags != "UT" {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// A pause that lasts until the route's time is up ends with it: the upstream does not see a try
// whose answer nobody would wait for.
func TestNoRetryAfterTheTimeout(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"a response": status(503), "none": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, requests := inTurn(t, first)
			spec := retrying(router.Retry{On: router.Retry5xx, Attempts: 5, Backoff: time.Hour, MaxBackoff: time.Hour}, o.addr)
			thePolicy(spec).Timeout = 500 * time.Millisecond
			g := start(t, spec, func(s *setup) { s.engine.Random = func() uint64 { return 1<<63 - 1 } })
			if a := dial(t, g).get("/"); a.StatusCode != 504 {
				t.Errorf("answer %d, want 504", a.StatusCode)
			}
			if rec := g.completed(1); rec.flags != "UT" || rec.attempts != 1 || requests.Load() != 1 {
				t.Errorf("the upstream saw %d requests, record %+v", requests.Load(), rec)
			}
		})
	}
}
