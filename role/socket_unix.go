//go:build unix

package role

import (
	"net"
	"os"
	"syscall"
)

// waiting takes a connection off the kernel's queue; nil where there is none. The
// deadline that woke Accept forbids an ordinary one.
func waiting(l net.Listener) net.Conn {
	if own, ok := l.(interface{ AcceptNow() net.Conn }); ok {
		return own.AcceptNow()
	}
	sc, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	raw.Control(func(listener uintptr) {
		for {
			fd, _, err = syscall.Accept(int(listener))
			if err != syscall.EINTR && err != syscall.ECONNABORTED {
				return
			}
		}
	})
	if err != nil || fd < 0 {
		return nil
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "accepted")
	defer f.Close()
	c, err := net.FileConn(f) // it duplicates the descriptor
	if err != nil {
		return nil
	}
	return c
}
