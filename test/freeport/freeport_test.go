package freeport

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// TestTake: everybody gets a port of their own, at which they can listen.
func TestTake(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[int]bool{}
	var takers sync.WaitGroup
	for range 20 {
		takers.Go(func() {
			for range 10 {
				port := Take()
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					t.Errorf("port %d: %v", port, err)
					continue
				}
				defer l.Close()
				mu.Lock()
				if seen[port] || port < first || port >= last {
					t.Errorf("port %d, again or out of range", port)
				}
				seen[port] = true
				mu.Unlock()
			}
		})
	}
	takers.Wait()
}

// TestTaken: a port that somebody listens at is not free.
func TestTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; free(port) {
		t.Errorf("%d is taken", port)
	}
}

// TestBlocks: another process that looks for a block gets none of ours.
func TestBlocks(t *testing.T) {
	t.Parallel()
	port := Take()
	mark := first + (port-first)/size*size
	if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", mark)); err == nil {
		l.Close()
		t.Errorf("the block of %d can be taken", port)
	}
}
