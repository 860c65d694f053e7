package role

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// atLog calls a function at each message of a log.
type atLog struct {
	slog.Handler
	message string
	do      func()
}

func (l atLog) Enabled(context.Context, slog.Level) bool { return true }

func (l atLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		l.do()
	}
	return nil
}

// TestReadyAfterListening: while the first table's sockets are being opened, the process is
// not ready, and does not keep whoever asks waiting.
func TestReadyAfterListening(t *testing.T) {
	t.Parallel()
	statusAt, ready := freeAddress(), make(chan int, 1)
	p := run(t, func(o *Options) {
		o.Status = statusAt
		o.Logger = slog.New(atLog{slog.DiscardHandler, "listener serves", func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			r, err := client.Get("http://" + statusAt + "/healthz/ready")
			if err != nil {
				t.Error(err)
				ready <- 0
				return
			}
			r.Body.Close()
			ready <- r.StatusCode
		}})
	})
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")})
	if code := <-ready; code != http.StatusServiceUnavailable {
		t.Errorf("while the socket was being opened: status %d, want 503", code)
	}
	if code, body := fetch(t, "http://"+statusAt+"/healthz/ready"); code != 200 || s.NotReady != nil {
		t.Errorf("afterwards: %d %s", code, body)
	}
}
