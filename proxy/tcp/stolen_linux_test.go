package tcp

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// TestResetThatAWriteSaw: the system tells of a reset once, to a write as it may be. What reads
// then finds an end, which must not be passed on as a good one. A good one stays such, whatever
// comes behind it.
func TestResetThatAWriteSaw(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sends, ends, clientEnds bool
		want                    cause
	}{
		"reset":                    {want: causeEndpoint},
		"reset behind bytes":       {sends: true, want: causeEndpoint},
		"end":                      {ends: true},
		"end behind bytes":         {sends: true, ends: true},
		"end behind the client's":  {ends: true, clientEnds: true},
		"bytes, end, both at once": {sends: true, ends: true, clientEnds: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, user := pair(t)
			ours, endpoint := pair(t)
			s := NewSession(client, nil, &proxy.Connection{}, &Options{}).(*session)
			s.cluster = &upstream.Cluster{Spec: &router.Cluster{}}
			s.begin(ours)
			if test.clientEnds {
				user.(*net.TCPConn).CloseWrite()
				s.up.carry()
			}
			if test.sends {
				write(t, endpoint, "bytes")
				want(t, ours, "bytes")
				s.down.count(len("bytes")) // They were read, and the next read was not yet.
			}
			if !test.ends {
				endpoint.(*net.TCPConn).SetLinger(0)
			}
			endpoint.Close()
			for err := error(nil); err == nil && !test.clientEnds; _, err = ours.Write([]byte("x")) {
			}
			s.down.carry()
			if s.cause != test.want {
				t.Errorf("cause %d", s.cause)
			}
			user.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, err := user.Read(make([]byte, 1))
			if good := errors.Is(err, io.EOF); good != test.ends {
				t.Errorf("the client reads %v", err)
			}
		})
	}
}
