package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// Everything goes inside TLS as well.
func TestConnTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	raw, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"h2"}
	conn := socket.Client(raw, config)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := conn.ConnectionState().NegotiatedProtocol; p != "h2" || conn.ConnectionState().Version != tls.VersionTLS13 {
		t.Fatalf("%q agreed on", p)
	}
	c := startConn(t, conn, ConnOptions{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 20 {
				text := fmt.Sprintf("%d-%d-%s", i, n, strings.Repeat("0123456789abcdef", i*n*50))
				ex, down := withStream(connExchange("POST", "/echo")), newClient()
				down.request = bytes.NewReader([]byte(text))
				if res := do(t, c, ex, down); res.Failure != proxy.FailNone || down.body.String() != text {
					t.Errorf("%+v, %d of %d bytes", res, down.body.Len(), len(text))
				}
				down = newClient()
				if res := do(t, c, connExchange("GET", "/hello"), down); res.Failure != proxy.FailNone || down.body.String() != "hello" {
					t.Errorf("%+v", res)
				}
			}
		}()
	}
	wg.Wait()
}
