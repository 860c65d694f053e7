package forward_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// volume is the size of a big body: 512 MB, or SLUICE_TEST_VOLUME bytes.
func volume(t *testing.T) int64 {
	if s := os.Getenv("SLUICE_TEST_VOLUME"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() || raceEnabled {
		return 64 << 20
	}
	return 512 << 20
}

// maxGrowth is what the process may grow by, whatever passes through it.
const maxGrowth = 64 << 20

// resident returns the process's resident bytes.
func resident(t testing.TB) int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc")
	}
	var size, pages int64
	fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// growth runs f and returns by how much the process was bigger meanwhile, at most.
func growth(t *testing.T, f func()) int64 {
	runtime.GC()
	debug.FreeOSMemory()
	before := resident(t)
	stop, peak := make(chan bool), make(chan int64)
	go func() {
		most := before
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
				most = max(most, resident(t))
			}
		}
	}()
	f()
	close(stop)
	return <-peak - before
}

// zeros is an endless source of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// discardExactly reads n bytes and tells how many there were.
func discardExactly(r io.Reader, n int64) int64 {
	got, _ := io.Copy(io.Discard, io.LimitReader(r, n))
	return got
}

// Bodies of any size pass in bounded memory. The tests of this file are not parallel: they
// measure the process.
func TestBigBodies(t *testing.T) {
	size := volume(t)
	piece := make([]byte, 64<<10)
	o := startOrigin(t, func(c *originConn) {
		for {
			head, err := c.head()
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(head, "GET /length"):
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
				io.CopyN(struct{ io.Writer }{c}, zeros{}, size)
			case strings.HasPrefix(head, "GET /chunked"):
				c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for range size / int64(len(piece)) {
					if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(piece), piece); err != nil {
						return
					}
				}
				c.send("0\r\n\r\n")
			case strings.Contains(head, "content-length:"):
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d", len(fmt.Sprint(size)), discardExactly(c.br, size))
			default:
				resp, err := http.ReadResponse(newPrefixed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", c.br), nil)
				if err != nil {
					return
				}
				n, _ := io.Copy(io.Discard, resp.Body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%d", len(fmt.Sprint(n)), n)
				return
			}
		}
	})
	g := start(t, toOrigin(o.addr))
	for _, way := range []string{"download length", "download chunked", "upload length", "upload chunked"} {
		t.Run(way, func(t *testing.T) {
			c := dial(t, g)
			c.SetDeadline(time.Now().Add(5 * time.Minute))
			began := time.Now()
			grown := growth(t, func() {
				direction, framing, _ := strings.Cut(way, " ")
				if direction == "download" {
					c.send(req("GET /"+framing+" HTTP/1.1", "Host: a"))
					resp, err := http.ReadResponse(c.br, nil)
					if err != nil {
						t.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
						t.Errorf("%d bytes: %v", n, err)
					}
					return
				}
				if framing == "length" {
					c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
					io.CopyN(struct{ io.Writer }{c}, zeros{}, size)
				} else {
					c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
					chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
					for range size / int64(len(piece)) {
						if _, err := c.Write(chunk); err != nil {
							t.Fatal(err)
						}
					}
					c.send("0\r\n\r\n")
				}
				if a := c.read("POST"); a.body != fmt.Sprint(size) {
					t.Errorf("the upstream got %s bytes, want %d", a.body, size)
				}
			})
			took := time.Since(began)
			t.Logf("%d MB in %v, grown by %d KB", size>>20, took.Round(time.Millisecond), grown>>10)
			if grown > maxGrowth && !raceEnabled {
				t.Errorf("grown by %d MB", grown>>20)
			}
		})
	}
}

// A side that does not read holds the other up: nothing piles up in between.
func TestBackPressure(t *testing.T) {
	const clients = 20
	var moved atomic.Int64
	pump := func(w io.Writer, head string) {
		io.WriteString(w, head)
		piece := bytes.Repeat([]byte("x"), 64<<10)
		for {
			n, err := w.Write(piece)
			moved.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	o := startOrigin(t, func(c *originConn) {
		if head, _ := c.head(); strings.HasPrefix(head, "GET") {
			pump(c, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
			return
		}
		for { // An upload that is not read, until its end.
			time.Sleep(50 * time.Millisecond)
			if c.send("HTTP/1.1 102 Processing\r\n\r\n") != nil {
				return
			}
		}
	})
	for _, direction := range []string{"download", "upload"} {
		t.Run(direction, func(t *testing.T) {
			g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
			moved.Store(0)
			grown := growth(t, func() {
				for range clients {
					c := dial(t, g)
					if direction == "download" {
						c.send(get())
					} else {
						go pump(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
					}
				}
				settled(&moved)
			})
			t.Logf("%d slow peers: %d MB on their way, grown by %d KB", clients, moved.Load()>>20, grown>>10)
			if grown > maxGrowth && !raceEnabled {
				t.Errorf("grown by %d MB", grown>>20)
			}
			if moved.Load() > clients*32<<20 {
				t.Errorf("%d MB were taken in", moved.Load()>>20)
			}
		})
	}
}

// settled waits until a count stands still.
func settled(n *atomic.Int64) {
	for last := int64(-1); last != n.Load(); {
		last = n.Load()
		time.Sleep(200 * time.Millisecond)
	}
}
