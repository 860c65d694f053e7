package http1

import (
	"bytes"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/proxy/listener"
)

// TestIdleConnectionBudget: thousands of connections that are idle take little each, before
// their first request and after it, and all of them are served again.
func TestIdleConnectionBudget(t *testing.T) {
	const count = 3000
	s, address := serveLoopback(t, Options{Engine: answering})
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	clients := make([]rawClient, 0, count)
	defer func() {
		for _, c := range clients {
			unix.Close(int(c))
		}
	}()
	clients = append(clients, newRawClient(t, tcp))
	clients[0].ask(t)
	touchGoroutines(count)
	before := held()
	for len(clients) < count {
		clients = append(clients, newRawClient(t, tcp))
	}
	waitParked(t, s, count)
	check(t, s, before, count, "silent")
	for range 2 {
		for _, c := range clients {
			c.ask(t)
		}
		waitParked(t, s, count)
		check(t, s, before, count, "idle")
	}
}

func check(t *testing.T, s *listener.Server, before, count int, what string) {
	t.Helper()
	// The goroutines that have served them may still be ending, stacks and all.
	each := (held() - before) / count
	for until := time.Now().Add(5 * time.Second); each > idleBudget && time.Now().Before(until); {
		each = (held() - before) / count
	}
	t.Logf("%d bytes for each %s connection", each, what)
	if each > idleBudget {
		t.Errorf("a connection that is %s takes %d bytes, budget %d", what, each, idleBudget)
	}
	if s.Connections() != count {
		t.Errorf("%d of %d connections are open", s.Connections(), count)
	}
}

// touchGoroutines has so many goroutines at once: the runtime keeps what describes one, for
// the next, and how many there are at a time is up to how fast the machine is.
func touchGoroutines(n int) {
	var all sync.WaitGroup
	hold := make(chan struct{})
	for range n {
		all.Go(func() { <-hold })
	}
	close(hold)
	all.Wait()
}

// held returns the bytes in use of the heap and the stacks, without garbage.
func held() int {
	time.Sleep(20 * time.Millisecond) // for goroutines that are just ending
	for range 3 {
		runtime.GC() // Pools are emptied by the second.
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// rawClient is a client's socket, that takes nothing of the heap.
type rawClient int

func newRawClient(t *testing.T, to *net.TCPAddr) rawClient {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	return rawClient(fd)
}

// ask makes a request, and waits for the answer.
func (c rawClient) ask(t *testing.T) {
	t.Helper()
	var b [200]byte
	if _, err := unix.Write(int(c), []byte(getRequest)); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(int(c), b[:]); err != nil || !bytes.HasPrefix(b[:n], []byte("HTTP/1.1 200")) {
		t.Fatalf("answered %q, %v", b[:n], err)
	}
}
