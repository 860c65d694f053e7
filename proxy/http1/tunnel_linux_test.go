package http1

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// longer is how long a test waits for what must happen.
const longer = 20 * time.Second

// tunneling is the client's side of an exchange that has become a tunnel.
type tunneling struct {
	proxy.Downstream
	client   net.Conn
	timedOut bool
}

func (d *tunneling) Tunnel() ([]byte, net.Conn)         { return nil, d.client }
func (d *tunneling) TunnelEnded(_, _ int64, idled bool) { d.timedOut = idled }

// tunnelBetween runs a tunnel between two connections. The channel is closed when it has ended.
func tunnelBetween(down *tunneling, up *Conn, idle time.Duration) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		up.Tunnel(down, idle)
	}()
	return ended
}

func await(t *testing.T, what string, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(longer):
		t.Errorf("%s: still waiting", what)
	}
}

// hooked is a connection that calls written behind each write.
type hooked struct {
	net.Conn
	written func()
}

func (h *hooked) Write(p []byte) (int, error) {
	n, err := h.Conn.Write(p)
	h.written()
	return n, err
}

// TestTunnelKilled: a tunnel that is killed ends, be it just as it begins.
func TestTunnelKilled(t *testing.T) {
	t.Parallel()
	_, client := connected(t)
	_, origin := connected(t)
	up := NewConn(origin, Limits{})
	var once sync.Once
	kill := func() {
		up.Aborter().Abort()
		client.SetDeadline(time.Unix(1, 0))
	}
	down := &tunneling{client: &hooked{client, func() { once.Do(kill) }}}
	await(t, "the tunnel", tunnelBetween(down, up, time.Hour))
}

// TestTunnelStands: a tunnel in which nothing moves ends, too, where the client has ended its
// side, and takes nothing of what comes.
func TestTunnelStands(t *testing.T) {
	t.Parallel()
	theirs, client := connected(t)
	far, origin := connected(t)
	down := &tunneling{client: client}
	ended := tunnelBetween(down, NewConn(origin, Limits{}), 300*time.Millisecond)
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for buf := make([]byte, 1<<20); ; {
			if _, err := far.Write(buf); err != nil {
				return
			}
		}
	}()
	theirs.(*net.TCPConn).CloseWrite()
	await(t, "the tunnel", ended)
	await(t, "the origin", flooded)
	if !down.timedOut {
		t.Error("it counts as ended by its sides")
	}
}

// gone waits until the peer's end has come in.
func gone(t *testing.T, conn net.Conn) {
	t.Helper()
	s := socket.New(conn, nil)
	for end := time.Now().Add(longer); !s.Gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("the peer's end does not come")
			return
		}
	}
}

// TestTunnelEndsInTLS: a client's end that comes together with its last bytes is not overlooked
// where it is one of TCP alone.
func TestTunnelEndsInTLS(t *testing.T) {
	t.Parallel()
	serve, client := inTLS(t)
	theirs, ours := connected(t)
	spoken := client(theirs)
	go spoken.Handshake()
	down := &tunneling{client: serve(ours)}
	io.WriteString(spoken, "last words")
	theirs.Close()
	gone(t, ours)
	far, origin := connected(t)
	ended := tunnelBetween(down, NewConn(origin, Limits{}), time.Hour)
	if got, err := io.ReadAll(far); string(got) != "last words" || err != nil {
		t.Errorf("the origin got %q, %v", got, err)
	}
	far.Close()
	await(t, "the tunnel", ended)
}

// hinted is the client's side of an exchange that is told of an interim response.
type hinted struct {
	proxy.Downstream
	interim func()
}

func (d *hinted) Interim(*proxy.Response) error {
	d.interim()
	return nil
}

func (d *hinted) Respond(*proxy.Exchange, *proxy.Response, []byte, bool) error { return nil }
func (d *hinted) Cut()                                                         {}

// relaying lets every response through.
type relaying struct{}

func (relaying) FilterResponse(*proxy.Exchange, *proxy.Response) bool { return true }

// TestEndsInTLS: an endpoint's end that comes together with a part of its response is not
// overlooked either.
func TestEndsInTLS(t *testing.T) {
	t.Parallel()
	serve, _ := inTLS(t)
	theirs, ours := connected(t)
	told := make(chan struct{})
	go func() {
		origin := serve(theirs)
		origin.Read(make([]byte, 1000))
		io.WriteString(origin, "HTTP/1.1 103 Early Hints\r\n\r\n")
		<-told
		io.WriteString(origin, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
		theirs.Close()
	}()
	secure := socket.Client(ours, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := NewConn(secure, Limits{})
	defer c.Close()
	answered := make(chan struct{})
	var res proxy.Result
	go func() {
		defer close(answered)
		ex := &proxy.Exchange{Buffered: true, UpstreamPath: "/", UpstreamAuthority: "a"}
		ex.Request.Method = "GET"
		res = c.RoundTrip(ex, relaying{}, &hinted{interim: func() {
			close(told)
			gone(t, ours)
		}})
	}()
	await(t, "the response", answered)
	if t.Failed() {
		return
	}
	if res.Failure != proxy.FailClosed || !res.Responded {
		t.Errorf("it came to %+v", res)
	}
}
