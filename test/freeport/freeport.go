// Package freeport finds ports for programs that tests start, which have to be told one.
//
// The kernel's own choice (port 0) is from the range that it also takes the local ports of
// connections from: on a busy machine one of those has it before the program does. These are
// from below that range.
//
// The packages' tests run side by side, each in a process of its own. So that no two of them
// give the same port away, each process takes whole blocks of ports, and listens at the first
// of a block for as long as it lives.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports are from first on, and less than last: above those of services that machines
// have, below the 32768 where Linux begins to take local ports (net.ipv4.ip_local_port_range).
const (
	first = 10000
	last  = 32000
)

// size is the number of ports of a block, the first of which is its mark.
const size = 50

var (
	mu sync.Mutex
	// left are the ports of this process's blocks that nobody was given.
	left []int
	// marks keep the blocks from other processes.
	marks []net.Listener
)

// Take returns a port at which nobody listens on 127.0.0.1, by TCP or by UDP, and that nobody
// else was given, in this process or in another that lives. It panics where there is none. It
// may be called from any goroutine.
func Take() int {
	mu.Lock()
	defer mu.Unlock()
	for {
		for len(left) > 0 {
			port := left[0]
			if left = left[1:]; free(port) {
				return port
			}
		}
		if !reserve() {
			panic("no port is free")
		}
	}
}

// reserve adds the ports of a block that no process has yet.
func reserve() bool {
	const blocks = (last - first) / size
	for _, n := range rand.Perm(blocks) {
		mark := first + n*size
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", mark))
		if err != nil {
			continue
		}
		marks = append(marks, l)
		for port := mark + 1; port < mark+size; port++ {
			left = append(left, port)
		}
		return true
	}
	return false
}

func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	l.Close()
	p, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	p.Close()
	return true
}
