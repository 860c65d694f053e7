package http3

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// deaf is the socket of a client that forges the address of its packets: it hears nothing.
type deaf struct {
	net.PacketConn
	closed chan struct{}
}

func (d deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, net.ErrClosed
}

func (d deaf) SetReadDeadline(time.Time) error { return nil }

// TestForgedAddresses: clients that are not where they say they are take some connections and
// no more, and others are served beside them.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	const room = 2 * trustedHandshakes
	s, client, url := serve(t, func(o *Options) { o.MaxConnections = room })
	server, err := net.ResolveUDPAddr("udp", strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forger := deaf{socket, make(chan struct{})}
	transport := &quic.Transport{Conn: forger}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		close(forger.closed)
		transport.Close()
		socket.Close()
	}()
	for range room {
		wg.Go(func() {
			config := &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com", NextProtos: []string{http3.NextProtoH3}}
			if conn, err := transport.Dial(ctx, server, config, nil); err == nil {
				conn.CloseWithError(0, "")
			}
		})
	}
	for s.Connections() < trustedHandshakes {
		time.Sleep(time.Millisecond)
	}
	if _, body := do(t, client, "GET", url+"/x", nil); !strings.Contains(body, "/x") {
		t.Errorf("a client gets %q", body)
	}
	if n := s.Connections(); n > trustedHandshakes+1 {
		t.Errorf("%d connections are open, of which %d may be nobody's", n, trustedHandshakes)
	}
}
