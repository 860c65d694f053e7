// Package freeport finds ports for programs that tests start, which have to be told one.
//
// The kernel's own choice (port 0) is from the range that it also takes the local ports of
// connections from: on a busy machine one of those has it before the program does. These are
// from below that range.
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

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// Take returns a port at which nobody listens on 127.0.0.1, by TCP or by UDP, and that this
// process was not given before. It panics where there is none. It may be called from any
// goroutine.
func Take() int {
	mu.Lock()
	defer mu.Unlock()
	// Test binaries that run side by side begin at different places.
	for range last - first {
		port := first + rand.IntN(last-first)
		if !given[port] && free(port) {
			given[port] = true
			return port
		}
	}
	panic("no port is free")
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
