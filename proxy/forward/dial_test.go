package forward_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/router"
)

// The proxy's own calls reach a cluster by its name, inside TLS where its policy says so, and
// count as connections of it.
func TestDial(t *testing.T) {
	t.Parallel()
	plain := startOrigin(t, answering(okResponse))
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Agreed", r.TLS.NegotiatedProtocol)
		w.Header().Set("X-Inside", "true")
	}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	spec := toOrigin(plain.addr)
	spec.Clusters = append(spec.Clusters, &router.Cluster{Name: "secure", TLS: &router.ClientTLS{}, Endpoints: []*router.Endpoint{{Address: secure.Listener.Addr().String()}}},
		&router.Cluster{Name: "empty"}, &router.Cluster{Name: "dead", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}},
		&router.Cluster{Name: "silent", Endpoints: []*router.Endpoint{{Address: fullListener(t)}}})
	engine := forward.New(forward.Options{UpstreamTLS: func(_ *router.ClientTLS, _ string, protocols ...string) (*tls.Config, error) {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, nil
	}})
	defer engine.Close()
	engine.Publish(build(t, spec))
	open := func() (n int64) {
		for _, c := range engine.Clusters() {
			for _, e := range c.Endpoints {
				n += e.Open
			}
		}
		return n
	}

	conn, err := engine.Dial(t.Context(), "origin", false)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(get())); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 || open() != 1 {
		t.Errorf("%+v, %v; %d open connections", resp, err, open())
	}
	conn.Close()
	conn.Close()
	if open() != 0 {
		t.Errorf("%d open connections after the end", open())
	}

	for http2, want := range map[bool]string{true: "h2", false: ""} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return engine.Dial(ctx, "secure", http2)
		}}
		resp, err := (&http.Client{Transport: transport}).Get("http://secure/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Agreed"); got != want || resp.Header.Get("X-Inside") != "true" {
			t.Errorf("HTTP/2 %t: agreed on %q, want %q", http2, got, want)
		}
		transport.CloseIdleConnections()
	}

	for name, want := range map[string]string{
		"none": `no cluster "none"`, "empty": `cluster "empty" has no healthy endpoint`, "dead": `cluster "dead", endpoint 127.0.0.1:1: `, "silent": `cluster "silent", endpoint `,
	} {
		ctx := t.Context()
		if name == "silent" {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			ctx = short
		}
		_, err := engine.Dial(ctx, name, false)
		if err == nil || !strings.Contains(err.Error(), want) || name == "silent" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
