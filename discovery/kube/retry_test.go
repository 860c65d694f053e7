package kube

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
)

// scripted is an API server that answers as a script says, and notes when it is asked for lists.
type scripted struct {
	mu     sync.Mutex
	lists  []time.Time
	script func(list int, watch bool) (code int, stands time.Duration)
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	watch := r.URL.Query().Get("watch") == "true"
	s.mu.Lock()
	if !watch {
		s.lists = append(s.lists, time.Now())
	}
	code, stands := s.script(len(s.lists), watch)
	s.mu.Unlock()
	body := io.Reader(strings.NewReader(`{"metadata":{"resourceVersion":"1"},"items":[]}`))
	if watch {
		body = &standing{r.Context(), time.After(stands)}
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body), Request: r}, nil
}

// standing is a watch without news that ends after a while.
type standing struct {
	ctx context.Context
	end <-chan time.Time
}

func (s *standing) Read([]byte) (int, error) {
	select {
	case <-s.end:
	case <-s.ctx.Done():
	}
	return 0, io.EOF
}

// TestRetriesBeginAnew: after a long while in which all went well the first pause is a short one
// again, however much trouble there was before.
func TestRetriesBeginAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const trouble = 10
		var well time.Time
		api := &scripted{script: func(list int, watch bool) (int, time.Duration) {
			switch {
			case !watch && list <= trouble:
				return 500, 0
			case watch && well.IsZero():
				well = time.Now()
				return 200, time.Hour
			case watch && list == trouble+1:
				return 401, 0 // a token has run out
			}
			return 200, 24 * time.Hour
		}}
		c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid", Transport: api}, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		s := c.source(resourceOf(config.Key{Kind: "Service"}), "", "")
		c.start(ctx, s)
		time.Sleep(2 * time.Hour)
		stop()
		c.running.Wait()
		if len(api.lists) < trouble+2 {
			t.Fatalf("%d lists", len(api.lists))
		}
		if first, last := api.lists[1].Sub(api.lists[0]), api.lists[trouble-1].Sub(api.lists[trouble-2]); first > time.Second || last < lastRetry {
			t.Errorf("the first pause is %s, the last %s", first, last)
		}
		if pause := api.lists[trouble+1].Sub(well) - time.Hour; pause > 2*time.Second {
			t.Errorf("after an hour the next list comes after %s", pause)
		}
	})
}
