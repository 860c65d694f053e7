package http3

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestDrainInTime: a drain with little time cuts nothing where no request is in progress, though
// a client does not heed that the server ends.
func TestDrainInTime(t *testing.T) {
	t.Parallel()
	s, _, url := serve(t)
	silent := &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com", NextProtos: []string{"h3"}}
	conn, err := quic.DialAddr(t.Context(), strings.TrimPrefix(url, "https://"), silent, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	for until := time.Now().Add(20 * time.Second); s.Connections() == 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*endQuiet/4)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Errorf("nothing was in progress, and Drain returned %v", err)
	}
}
