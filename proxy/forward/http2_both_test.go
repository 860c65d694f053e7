package forward_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http2"
	"github.com/sluicegate/sluice/router"
)

// bothWays has a gateway speak HTTP/2 with clients too, and returns such a client.
func bothWays(t testing.TB, spec *router.Spec) (*gateway, *http.Client) {
	t.Helper()
	var options *http2.Options
	ready := make(chan struct{})
	g := start(t, spec, func(s *setup) {
		s.server.HTTP2 = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
			<-ready
			return http2.NewSession(conn, early, info, options)
		}
	})
	options = http2.Options{Handler: g.engine}.WithDefaults()
	close(ready)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return g, &http.Client{Transport: transport}
}

// A call goes both ways at once, and ends with trailers, with HTTP/2 on both sides.
func TestHTTP2Stream(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]router.Protocol{"HTTP/2": router.ProtocolHTTP2, "as the client": router.ProtocolDownstream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				buf := make([]byte, 100)
				for {
					n, err := r.Body.Read(buf)
					w.Write(buf[:n])
					w.(http.Flusher).Flush()
					if err != nil {
						break
					}
				}
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
			}))
			spec := toOrigin(addr)
			spec.Clusters[0].Protocol = protocol
			g, client := bothWays(t, spec)
			body, send := io.Pipe()
			r, _ := http.NewRequest("POST", "http://"+g.addr+"/chat", body)
			r.Header.Set("TE", "trailers")
			resp, err := client.Do(r)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%+v %v", resp, err)
			}
			for i := range 10 {
				word := strings.Repeat("w", 1+i*3)
				io.WriteString(send, word)
				buf := make([]byte, len(word))
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != word {
					t.Fatalf("%q, %v", buf, err)
				}
			}
			send.Close()
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
			if resp.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("trailers %v", resp.Trailer)
			}
			if rec := g.completed(1); rec.protocol != "HTTP/2" || rec.flags != "-" {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// What a client does not want any more, the endpoint need not do.
func TestHTTP2Cancel(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		ended <- r.Context().Err()
	}))
	g, client := bothWays(t, toHTTP2(addr))
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+g.addr+"/", nil)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	io.Copy(io.Discard, resp.Body)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the endpoint goes on")
	}
	if rec := g.completed(1); rec.flags != "DC" {
		t.Errorf("%+v", rec)
	}
}

// Many calls of all sizes at once, with HTTP/2 on both sides.
func TestHTTP2Volume(t *testing.T) {
	t.Parallel()
	addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	g, client := bothWays(t, toHTTP2(addr))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 15 {
				body := bytes.Repeat([]byte(fmt.Sprintf("%02d-%02d|", i, n)), 1+(i*n*97)%(40<<10))
				resp, err := client.Post("http://"+g.addr+"/", "text/plain", io.MultiReader(bytes.NewReader(body)))
				if err != nil {
					t.Errorf("%d-%d: %v", i, n, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d-%d: %d of %d bytes, %v", i, n, len(got), len(body), err)
				}
			}
		}()
	}
	wg.Wait()
}
