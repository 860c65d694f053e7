package forward_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// fickle is an origin that closes a connection whenever it has waited for a request for some
// random time: often just when one is on its way.
func fickle(c *originConn) {
	buf := make([]byte, 4096)
	answer := []byte(okResponse)
	for first := true; ; first = false {
		if !first {
			c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(3000)) * time.Microsecond))
		}
		if _, err := c.Conn.Read(buf); err != nil {
			return
		}
		if _, err := c.Conn.Write(answer); err != nil {
			return
		}
	}
}

// Upstreams close idle connections at random, and no client's GET fails for it. There are
// 100,000, or SLUICE_TEST_REQUESTS.
func TestKeepAliveRace(t *testing.T) {
	total, clients := 100_000, 200
	if s := os.Getenv("SLUICE_TEST_REQUESTS"); s != "" {
		var err error
		if total, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() || raceEnabled {
		total = 10_000
	}
	o := startOrigin(t, fickle)
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	var wg sync.WaitGroup
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := hammer(g.addr, total/clients); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	s := g.engine.Clusters()[0]
	t.Logf("%d requests, %d upstream connections, %d closed under a request", total, o.conns.Load(), s.Endpoints[0].Failures)
}

// replica is an HTTP server that can be shut down as a well-behaved one is: what it has
// begun it finishes, and it closes its connections when they are idle.
type replica struct {
	addr   string
	server *http.Server
}

func startReplica(t *testing.T) *replica {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{addr: l.Addr().String()}
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }),
	}
	go r.server.Serve(l)
	t.Cleanup(func() { r.server.Close() })
	return r
}

// clients send GETs, each twenty on a connection and then twenty on another.
type clients struct {
	done   chan bool
	ending sync.WaitGroup
	// twenties are how often each client has sent twenty.
	twenties []atomic.Int64
	// failed counts the clients that gave up.
	failed atomic.Int64
}

func load(t *testing.T, g *gateway, n int) *clients {
	c := &clients{done: make(chan bool), twenties: make([]atomic.Int64, n)}
	for i := range n {
		c.ending.Go(func() {
			for {
				select {
				case <-c.done:
					return
				default:
				}
				if err := hammer(g.addr, 20); err != nil {
					c.failed.Add(1)
					t.Error(err)
					return
				}
				c.twenties[i].Add(1)
			}
		})
	}
	return c
}

// stop returns how many requests there were.
func (c *clients) stop() (requests int64) {
	close(c.done)
	c.ending.Wait()
	for i := range c.twenties {
		requests += 20 * c.twenties[i].Load()
	}
	return requests
}

// answered returns once every request that has begun by now has its answer.
func (c *clients) answered(t *testing.T) {
	t.Helper()
	before := make([]int64, len(c.twenties))
	for i := range c.twenties {
		before[i] = c.twenties[i].Load()
	}
	eventually(t, 4*patience, "what has begun is answered", func() bool {
		for i := range c.twenties {
			if c.twenties[i].Load() == before[i] && c.failed.Load() == 0 {
				return false
			}
		}
		return true
	})
}

// Every endpoint is replaced, one at a time, under load: a new one is added, an old one is
// taken out, and shuts down.
func TestRollingReplacement(t *testing.T) {
	t.Parallel()
	policies := map[string]func(*router.Cluster){
		"default":   func(*router.Cluster) {},
		"bounded":   func(c *router.Cluster) { c.Pool.MaxConnections = 8 },
		"outliers":  func(c *router.Cluster) { c.Outlier = &router.Outlier{Consecutive5xx: 5, MaxEjectionPercent: 10} },
		"no reuse":  func(c *router.Cluster) { c.Pool.MaxRequestsPerConnection = 1 },
		"short age": func(c *router.Cluster) { c.Pool.MaxConnectionAge = 5 * time.Millisecond },
	}
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replicas := []*replica{startReplica(t), startReplica(t), startReplica(t)}
			spec := func() *router.Spec {
				var addresses []string
				for _, r := range replicas {
					addresses = append(addresses, r.addr)
				}
				s := toOrigin(addresses...)
				s.Clusters[0].Balancer = router.LeastRequest
				// As by default, a connection that cannot be made is tried elsewhere.
				thePolicy(s).Retry = &router.Retry{Attempts: 2, On: router.RetryConnectFailure, AvoidPrevious: true}
				policy(s.Clusters[0])
				return s
			}
			g := start(t, spec(), func(s *setup) { s.quiet = true })
			clients := load(t, g, 24)
			for range 2 * len(replicas) {
				replicas = append(replicas, startReplica(t))
				g.engine.Publish(build(t, spec()))
				time.Sleep(20 * time.Millisecond)
				old := replicas[0]
				replicas = replicas[1:]
				g.engine.Publish(build(t, spec()))
				// Requests that had begun with the old table are on their way to it.
				clients.answered(t)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				if err := old.server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("an endpoint that left is still used: %v", err)
				}
				cancel()
			}
			t.Logf("%d requests", clients.stop())
			eventually(t, patience, "nothing is left behind", func() bool {
				s := g.stats()
				return s[upstream.RqActive] == 0 && s[upstream.RqPendingActive] == 0
			})
		})
	}
}

// A thousand reloads, each with other policies and endpoints, fail no request.
func TestPolicyReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	a, b, c := startReplica(t), startReplica(t), startReplica(t)
	policies := []func(*router.Cluster){
		func(*router.Cluster) {},
		func(c *router.Cluster) { c.Pool = router.Pool{MaxConnections: 2} },
		func(c *router.Cluster) {
			c.Outlier = &router.Outlier{Consecutive5xx: 1, Interval: time.Millisecond, MaxEjectionPercent: 50}
		},
		func(c *router.Cluster) { c.Pool = router.Pool{MaxConnections: 16, MaxRequestsPerConnection: 3} },
		func(c *router.Cluster) {
			c.Pool = router.Pool{MaxConnectionAge: time.Millisecond, IdleTimeout: time.Millisecond}
		},
		func(c *router.Cluster) { c.Balancer = router.Random },
	}
	spec := func(n int) *router.Spec {
		s := toOrigin([][]string{{a.addr}, {a.addr, b.addr}, {b.addr, c.addr}, {a.addr, b.addr, c.addr}}[n%4]...)
		policies[n%len(policies)](s.Clusters[0])
		return s
	}
	g := start(t, spec(0), func(s *setup) { s.quiet = true })
	clients := load(t, g, 16)
	for n := range 1000 {
		g.engine.Publish(build(t, spec(n)))
		if n%4 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	t.Logf("%d requests", clients.stop())
	eventually(t, patience, "nothing is left behind", func() bool {
		status := g.engine.Clusters()[0]
		for _, e := range status.Endpoints {
			if e.Open != int64(e.Idle) {
				return false
			}
		}
		return status.Stats[upstream.RqActive] == 0 && status.Stats[upstream.RqPendingActive] == 0
	})
}
