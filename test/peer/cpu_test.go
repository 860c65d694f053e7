package peer

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// work is one kind of load, and what serves it.
type work struct {
	name string
	size int
	tls  bool
	// load runs for some seconds and returns the number of requests, or handshakes.
	load func(t *testing.T, url string, seconds int) int
}

var works = []work{
	{"1 KB", 1 << 10, false, load},
	{"64 KB", 64 << 10, false, load},
	{"TLS 1 KB", 1 << 10, true, load},
	{"TLS 64 KB", 64 << 10, true, load},
	{"TLS HTTP2 32 streams 1 KB", 1 << 10, true, load2},
	{"TLS handshakes P-256", 1 << 10, true, handshakes},
}

// TestCPUBesidePeers measures the processor time of a request against that of nginx and
// HAProxy, in turns.
func TestCPUBesidePeers(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for _, w := range works {
		t.Run(w.name, func(t *testing.T) {
			sites := newSite(t, w.size)
			s := sites.plain
			if w.tls {
				s = sites.inside
			}
			ourURL, ours := gateway(t, s)
			peers := []struct {
				name   string
				start  func(*testing.T, site) (string, int)
				url    string
				pid    int
				ratios []float64
			}{{name: "nginx", start: nginxProxy}, {name: "HAProxy", start: haproxy}}
			w.load(t, ourURL, 1)
			for i := range peers {
				peers[i].url, peers[i].pid = peers[i].start(t, s)
				w.load(t, peers[i].url, 1)
			}
			for range rounds {
				us := w.cost(t, ourURL, ours)
				for i := range peers {
					p := &peers[i]
					them := w.cost(t, p.url, p.pid)
					t.Logf("gateway %.1f µs, %s %.1f µs", us, p.name, them)
					p.ratios = append(p.ratios, us/them)
				}
			}
			for _, p := range peers {
				slices.Sort(p.ratios)
				t.Logf("processor time, gateway / %s: median %.2f, from %.2f to %.2f over %d rounds",
					p.name, p.ratios[len(p.ratios)/2], p.ratios[0], p.ratios[len(p.ratios)-1], rounds)
			}
		})
	}
}

// cost returns the microseconds of processor time that a request costs a process.
func (w work) cost(t *testing.T, url string, pid int) float64 {
	t.Helper()
	before := cpu(t, pid)
	n := w.load(t, url, 2)
	return float64(cpu(t, pid)-before) * 10000 / float64(max(n, 1))
}

// load2 runs h2load: 4 connections with 32 streams each.
func load2(t *testing.T, url string, seconds int) int {
	t.Helper()
	out, err := exec.Command(tool(t, "h2load"), "-c4", "-m32", "-t1", "-D", strconv.Itoa(seconds), url).CombinedOutput()
	if err != nil {
		t.Fatalf("h2load: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("h2load says no count:\n%s", out)
	}
	if !bytes.Equal(m[3], []byte("0")) || !bytes.Equal(m[4], []byte("0")) {
		t.Errorf("requests were lost:\n%s", out)
	}
	n, _ := strconv.Atoi(string(m[2]))
	return n
}

// handshakes makes connections, one after the other in four lines, without resuming any
// session, and returns how many.
func handshakes(t *testing.T, target string, seconds int) int {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	var lines sync.WaitGroup
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	for range 4 {
		lines.Go(func() {
			config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
			for time.Now().Before(until) {
				c, err := tls.Dial("tcp", u.Host, config)
				if err != nil {
					t.Error(fmt.Errorf("handshake: %w", err))
					return
				}
				c.Close()
				done.Add(1)
			}
		})
	}
	lines.Wait()
	return int(done.Load())
}
