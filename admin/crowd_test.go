package admin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowReaders: who asks for a page and does not read it holds its memory for a while only.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/config_dump", "/config_dump?format=envoy", "/routes", "/stats?format=prometheus"} {
		synctest.Test(t, func(t *testing.T) {
			o := everything(t)
			t.Cleanup(o.Recent.Close)
			big := bytes.Repeat([]byte("sluice_up 1\n"), 100_000)
			o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(big) })
			table := o.Config().Spec.Listeners[0].Tables[0]
			for range 2000 {
				table.VirtualHosts = append(table.VirtualHosts, table.VirtualHosts[0])
			}
			client := connect(t, NewServer(NewHandler(o), slog.New(slog.DiscardHandler)))
			if _, err := fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
			response, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
			}
			if err == nil {
				t.Errorf("%s: all of it was kept for five minutes", target)
			}
		})
	}
}

// TestCrowd: those who connect to a server that may be open to everybody, and say nothing, take
// neither the process's open files nor the place of a kubelet that asks for health.
func TestCrowd(t *testing.T) {
	t.Parallel()
	server := NewServer(NewStatusHandler(func() error { return nil }), slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	var crowd []net.Conn
	t.Cleanup(func() {
		for _, c := range crowd {
			c.Close()
		}
	})
	const some = 50
	for i := range maxConnections + some {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
		if i%2 == 0 {
			// Half of them have had an answer, and stay.
			if _, err := io.WriteString(c, "GET /healthz/live HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	response, err := http.Get("http://" + l.Addr().String() + "/healthz/ready")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !strings.HasPrefix(string(text), "ready") {
		t.Errorf("got %q, %v", text, err)
	}
	for i, c := range crowd[:some/2] {
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("connection %d, one of the first, is still open", i)
		}
	}
}
