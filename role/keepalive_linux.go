package role

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepAlive has the kernel probe quiet clients: after 15 s, every 15 s, nine times. These are
// Go's own values. Linux hands options down from the listening socket, which saves each
// connection four system calls.
func keepAlive(config *net.ListenConfig) {
	config.KeepAlive = -1
	config.Control = func(network, _ string, c syscall.RawConn) (err error) {
		if network == "unix" {
			return nil
		}
		set := func(fd uintptr) {
			for _, o := range [...][3]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
			} {
				if err = unix.SetsockoptInt(int(fd), o[0], o[1], o[2]); err != nil {
					return
				}
			}
		}
		if e := c.Control(set); e != nil {
			return e
		}
		return err
	}
}
