package upstream

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// tcpKeepalive becomes the socket's options; what it leaves out stays as the system has it.
func TestKeepalive(t *testing.T) {
	t.Parallel()
	address := sink(t)
	tests := map[string]struct {
		pool                    router.Pool
		on, idle, interval, cnt int // -1: whatever the system says
	}{
		"all":     {router.Pool{KeepaliveProbes: 7, KeepaliveTime: 61 * time.Second, KeepaliveIv: 13 * time.Second}, 1, 61, 13, 7},
		"time":    {router.Pool{KeepaliveTime: 2 * time.Minute}, 1, 120, -1, -1},
		"probes":  {router.Pool{KeepaliveProbes: 3}, 1, -1, -1, 3},
		"default": {router.Pool{}, 1, 15, 15, 9},
	}
	system := socketOptions(t, plainSocket(t))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := NewManager(Options{})
			defer m.Close()
			spec := &router.Cluster{Name: "c", Pool: test.pool, Endpoints: []*router.Endpoint{{Address: address}}}
			c := m.Update([]*router.Cluster{spec}, nil)[0]
			e := c.Pick(&Choice{})
			conn, _, err := c.Acquire(e, &Need{}, false, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Release(e, conn, Report{})
			raw, err := conn.(*http1.Conn).NetConn().(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var got [4]int
			raw.Control(func(fd uintptr) { got = socketOptions(t, int(fd)) })
			for i, want := range [4]int{test.on, test.idle, test.interval, test.cnt} {
				if want == -1 {
					want = system[i]
				}
				if got[i] != want {
					t.Errorf("option %d is %d, want %d", i, got[i], want)
				}
			}
		})
	}
}

func plainSocket(t *testing.T) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// socketOptions returns whether keepalive is on, and its idle time, interval and count.
func socketOptions(t *testing.T, fd int) (got [4]int) {
	for i, option := range [4][2]int{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
	} {
		v, err := unix.GetsockoptInt(fd, option[0], option[1])
		if err != nil {
			t.Error(err)
		}
		got[i] = v
	}
	return got
}
