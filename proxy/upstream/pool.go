package upstream

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// Acquire returns a connection to e for one exchange: one that was used before, which
// reused tells, or a new one; always a new one where fresh asks for it. It takes no longer
// than within, where that is not 0, and no longer than the cluster's ConnectTimeout to
// connect; and it ends when the client of down, which may be nil, goes away.
//
// The caller gives the connection back with Release. An error is ErrOverflow, or says why
// there is no connection.
func (c *Cluster) Acquire(e *Endpoint, fresh bool, within time.Duration, down proxy.Downstream) (conn *http1.Conn, reused bool, err error) {
	connect := c.ConnectTimeout
	if within > 0 {
		connect = min(connect, within)
	}
	return e.acquire(fresh, connect)
}

// Report is what became of an exchange.
type Report struct {
	// Reusable tells that the connection can take another request.
	Reusable bool
	// Status is that of the upstream's response; 0 where none came.
	Status int
	// Failure is why it did not come, or not whole.
	Failure proxy.Failure
}

// Release takes back a connection after an exchange: to keep it where that may be, or to
// close it. A tunnel's connection comes back when the tunnel has ended.
func (c *Cluster) Release(e *Endpoint, conn *http1.Conn, r Report) {
	e.release(conn, r.Reusable, r.Failure != proxy.FailNone && r.Failure != proxy.FailDownstream)
}
