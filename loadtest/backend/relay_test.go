package backend

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// startRelay returns the address of a relay to a backend.
func startRelay(t *testing.T, to string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	l, err := newRelay(address, to)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.until(int(r.Fd())); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.run(false) }()
	t.Cleanup(func() {
		w.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.Close()
	})
	return address
}

// TestRelay: each client gets the answer to its own request, also where others leave before theirs
// has come.
func TestRelay(t *testing.T) {
	t.Parallel()
	address := startRelay(t, start(t, work.Site{Body: 1024})[0])
	done := make(chan error)
	const clients, requests = 16, 200
	for i := range clients {
		go func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for n := range requests {
				if n%10 == 0 {
					if err := leave(address); err != nil {
						done <- err
						return
					}
				}
				path := fmt.Sprintf("/%d/%d", i, n)
				resp, err := client.Get("http://" + address + path + "?" + Echo)
				if err != nil {
					done <- err
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !strings.Contains(string(body), "GET "+path+"?") {
					done <- fmt.Errorf("%s: %q, %w", path, body, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// leave asks, and does not wait for an answer.
func leave(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, "GET /left HTTP/1.1\r\nHost: h\r\n\r\n")
	return err
}

// TestRelayMisuse: a relay without a place or an aim says so.
func TestRelayMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--address", "127.0.0.1:0"}, {"--address", "[::1]:0", "--to", "127.0.0.1:1"}, {"--what"}} {
		if err := RelayMain(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
