package role

import (
	"math"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// refuseHandshakes has the kernel refuse new connections to a TCP socket, as if it were closed
// already, and tells whether it does. It binds the socket to a network interface that does not
// exist: nothing new comes in by that, and what has come in stays. That takes Linux 5.7.
func refuseHandshakes(l net.Listener) bool {
	tcp, ok := l.(syscall.Conn)
	if !ok || l.Addr().Network() != "tcp" {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	if controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, math.MaxInt32)
	}); controlErr != nil {
		return false
	}
	return err == nil
}
