package http1

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// taking is a client that takes whatever comes.
type taking struct{ proxy.Downstream }

func (taking) Respond(*proxy.Exchange, *proxy.Response, []byte, bool) error { return nil }
func (taking) Splice(from net.Conn, n int64) (int64, bool, error) {
	written, err := io.CopyN(io.Discard, from, n)
	for s, end := socket.New(from, nil), time.Now().Add(longer); s.Glance() == socket.Quiet && time.Now().Before(end); {
		runtime.Gosched()
	}
	return written, true, err
}

// holding is a connection that sends all its writes together.
type holding struct {
	net.Conn
	hold bool
	held bytes.Buffer
}

func (h *holding) Write(p []byte) (int, error) {
	if h.hold {
		return h.held.Write(p)
	}
	return h.Conn.Write(p)
}

// A connection on which more has come than the response is not used for another request before
// it was looked at: what came would be the answer to that.
func TestSurplusIsNoAnswer(t *testing.T) {
	t.Parallel()
	const response, more = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	exchange := func(t *testing.T, conn net.Conn, good bool) {
		c := NewConn(conn, Limits{})
		defer c.Close()
		ex := &proxy.Exchange{Buffered: true, UpstreamPath: "/", UpstreamAuthority: "a"}
		ex.Request.Method = "GET"
		if res := c.RoundTrip(ex, relaying{}, taking{}); res.Failure != proxy.FailNone || !res.Responded {
			t.Errorf("it came to %+v", res)
		} else if passes := res.Reusable && (!c.Suspect() || c.Quiet()); passes != good {
			t.Errorf("that the connection passes for good is %v", passes)
		} else if good && c.Suspect() {
			t.Error("the connection needs a look")
		}
	}
	inRecords := func(t *testing.T, good bool, records ...string) {
		t.Parallel()
		serve, _ := inTLS(t)
		theirs, ours := connected(t)
		go func() {
			h := &holding{Conn: theirs}
			origin := serve(h)
			origin.Read(make([]byte, 1000))
			h.hold = true
			for _, r := range records {
				io.WriteString(origin, r)
			}
			theirs.Write(h.held.Bytes())
		}()
		secure := socket.Client(ours, &tls.Config{InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		exchange(t, secure, good)
	}
	t.Run("nothing", func(t *testing.T) { inRecords(t, true, response) })
	t.Run("in a record of its own", func(t *testing.T) { inRecords(t, false, response, more) })
	t.Run("behind a body that the kernel moves", func(t *testing.T) {
		t.Parallel()
		theirs, ours := connected(t)
		go func() {
			theirs.Read(make([]byte, 1000))
			io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"+strings.Repeat("x", 1<<20)+more)
		}()
		exchange(t, ours, false)
	})
}
