package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Requests may arrive many at once and cut anywhere; their answers come in order.
func TestPipelining(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, echo)
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	const clients, requests = 4, 5000
	for k := range clients {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			c := dial(t, g)
			c.SetDeadline(time.Now().Add(4 * patience))
			random := rand.New(rand.NewPCG(uint64(k), 7))
			go func() {
				var b strings.Builder
				for n := range requests {
					switch n % 7 {
					case 3:
						body := strings.Repeat("x", random.IntN(300))
						fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n%s", n, len(body), body)
					case 5:
						fmt.Fprintf(&b, "PUT /%d HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x\r\nyou\r\n0\r\n\r\n", n)
					default:
						fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: a.example\r\nX-Filler: %s\r\n\r\n", n, strings.Repeat("f", random.IntN(200)))
					}
					for b.Len() > 2000 {
						all, cut := b.String(), 1+random.IntN(1999)
						if _, err := io.WriteString(c, all[:cut]); err != nil {
							return
						}
						b.Reset()
						b.WriteString(all[cut:])
					}
				}
				io.WriteString(c, b.String())
			}()
			for n := range requests {
				a := c.read("GET")
				if got, _, _ := strings.Cut(a.body, "\n"); !strings.HasSuffix(got, fmt.Sprintf(" /%d", n)) {
					t.Fatalf("answer %d is %d %q", n, a.StatusCode, a.body)
				}
			}
		})
	}
}

// Bodies of every size and framing pass unchanged, in both directions.
func TestBodies(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		for {
			r, body, err := c.request()
			if err != nil {
				return
			}
			if r.URL.Query().Get("chunked") == "" {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				continue
			}
			c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := body; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)/3)
				fmt.Fprintf(c, "%x\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			c.send("0\r\n\r\n")
		}
	})
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	for _, size := range []int{0, 1, 100, 4 << 10, 31 << 10, 33 << 10, 64 << 10, 200 << 10, 300 << 10, 3 << 20} {
		for _, up := range []string{"length", "chunked"} {
			for _, down := range []string{"", "?chunked=1"} {
				t.Run(fmt.Sprintf("%d %s%s", size, up, down), func(t *testing.T) {
					t.Parallel()
					c := dial(t, g)
					body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
					for range 2 {
						go func() {
							if up == "length" {
								fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", down, size, body)
								return
							}
							w := bufio.NewWriterSize(c, 1000)
							fmt.Fprintf(w, "POST /%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", down)
							for rest := body; len(rest) > 0; {
								n := min(len(rest), 7000)
								fmt.Fprintf(w, "%x\r\n%s\r\n", n, rest[:n])
								rest = rest[n:]
							}
							w.WriteString("0\r\n\r\n")
							w.Flush()
						}()
						if a := c.read("POST"); a.body != body {
							t.Fatalf("answer %d with %d bytes, want %d", a.StatusCode, len(a.body), size)
						}
					}
				})
			}
		}
	}
}

// Trailers of a response reach a client that says TE: trailers, and no other.
func TestResponseTrailers(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\nContent-Length: 7\r\n\r\n"))
	g := start(t, toOrigin(o.addr))
	for _, te := range []string{"", "TE: trailers\r\n"} {
		c := dial(t, g)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n" + te + "\r\n")
		a := c.read("GET")
		want := ""
		if te != "" {
			want = "0"
		}
		if a.body != "ok" || a.Trailer.Get("Grpc-Status") != want || a.Trailer.Get("Content-Length") != "" {
			t.Errorf("with %q: %q and trailers %v", te, a.body, a.Trailer)
		}
	}
}

// Responses without a body keep the connection in step.
func TestBodylessResponses(t *testing.T) {
	t.Parallel()
	tests := []struct{ method, response, length string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "1234"},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		{"HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n", "1234"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"},
		{"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "0"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.response[9:12], func(t *testing.T) {
			o := startOrigin(t, answering(test.response))
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			for n := 1; n <= 3; n++ {
				c.send(req(test.method+" / HTTP/1.1", "Host: a"))
				head, err := readHead(c.br)
				if err != nil || !strings.HasPrefix(head, test.response[:12]) {
					t.Fatalf("answer %q: %v", head, err)
				}
				if test.length == "" && strings.Contains(head, "content-length") || test.length != "" && !strings.Contains(head, "content-length: "+test.length+"\r\n") {
					t.Errorf("content-length is not %q in %q", test.length, head)
				}
				if rec := g.completed(n); rec.sent != 0 {
					t.Errorf("%d bytes of body counted", rec.sent)
				}
			}
			if o.conns.Load() != 1 {
				t.Errorf("%d upstream connections, want 1", o.conns.Load())
			}
		})
	}
}

// HEAD is answered without a body by the proxy itself as well.
func TestLocalAnswerToHead(t *testing.T) {
	t.Parallel()
	g := start(t, withRoutes(nil))
	c := dial(t, g)
	for range 2 {
		c.send(req("HEAD / HTTP/1.1", "Host: a"))
		if a := c.read("HEAD"); a.StatusCode != 404 || a.ContentLength <= 0 {
			t.Errorf("answer %d with length %d", a.StatusCode, a.ContentLength)
		}
	}
	if rec := g.completed(2); rec.sent != 0 || rec.flags != "NR" || rec.details != "route_not_found" {
		t.Errorf("record %+v", rec)
	}
}

// HTTP/1.0 clients get what they understand.
func TestOldClients(t *testing.T) {
	t.Parallel()
	responses := map[string]string{
		"length":  okResponse,
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"end":     "HTTP/1.1 200 OK\r\n\r\nok",
		"interim": "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okResponse,
	}
	for name, response := range responses {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " keep-alive=", keep), func(t *testing.T) {
				t.Parallel()
				o := startOrigin(t, func(c *originConn) {
					for {
						if _, _, err := c.request(); err != nil {
							return
						}
						c.send(response)
						if name == "end" {
							return
						}
					}
				})
				g := start(t, toOrigin(o.addr))
				c := dial(t, g)
				head := "GET / HTTP/1.0\r\nHost: a\r\n\r\n"
				if keep {
					head = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
				}
				c.send(head)
				raw, err := readHead(c.br)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(raw, "transfer-encoding") || strings.Contains(raw, " 103 ") {
					t.Errorf("answer %q", raw)
				}
				kept := keep && (name == "length" || name == "interim")
				if kept != strings.Contains(raw, "connection: keep-alive") || kept == strings.Contains(raw, "connection: close") {
					t.Errorf("kept=%v, answer %q", kept, raw)
				}
				body := make([]byte, 2)
				if io.ReadFull(c.br, body); string(body) != "ok" {
					t.Errorf("body %q", body)
				}
				if !kept {
					c.expectEnd()
					return
				}
				c.send(head)
				if a := c.read("GET"); a.body != "ok" {
					t.Errorf("second answer %q", a.body)
				}
			})
		}
	}
}

// A request of HTTP/1.0 needs no Host.
func TestOldClientWithoutHost(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send("GET / HTTP/1.0\r\n\r\n")
	if a := c.read("GET"); a.body != "ok" {
		t.Errorf("answer %d %q", a.StatusCode, a.body)
	}
}

// Connection: close is honoured, from both sides, without being forwarded.
func TestConnectionClose(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		if _, _, err := c.request(); err == nil {
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
		}
	})
	g := start(t, toOrigin(o.addr))
	c := dial(t, g)
	for range 3 {
		if a := c.get("/"); a.Close {
			t.Fatalf("the upstream's close reached the client")
		}
	}
	if a := c.get("/", "Connection: close"); !a.Close {
		t.Errorf("no close in the answer")
	}
	c.expectEnd()
	if o.conns.Load() != 4 {
		t.Errorf("%d upstream connections, want 4", o.conns.Load())
	}
}

// 1xx responses are passed on as they come, 100 only to a client that asked for it.
func TestInterimResponses(t *testing.T) {
	t.Parallel()
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	proceed := make(chan bool)
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			c.send("HTTP/1.1 100 Continue\r\n\r\n" + hints)
			<-proceed
			c.send(hints + okResponse)
		}
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	for range 2 {
		c.send(get())
		head, err := readHead(c.br)
		if err != nil || head != "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" {
			t.Fatalf("first: %q %v", head, err)
		}
		proceed <- true
		if head, _ = readHead(c.br); !strings.HasPrefix(head, "HTTP/1.1 103 ") {
			t.Fatalf("second: %q", head)
		}
		if a := c.read("GET"); a.body != "ok" {
			t.Fatalf("answer %q", a.body)
		}
	}
}

// Expect: 100-continue is a matter between the client and the upstream.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	const head = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	t.Run("upstream says 100", func(t *testing.T) {
		o := startOrigin(t, func(c *originConn) {
			for {
				h, err := c.head()
				if err != nil {
					return
				}
				if !strings.Contains(h, "expect: 100-continue\r\n") {
					c.send("HTTP/1.1 500 No Expect\r\nContent-Length: 0\r\n\r\n")
					continue
				}
				c.send("HTTP/1.1 100 Continue\r\n\r\n")
				body := make([]byte, 5)
				io.ReadFull(c.br, body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%s", body)
			}
		})
		g := start(t, toOrigin(o.addr))
		c := dial(t, g)
		for n := range 3 {
			c.send(head)
			if h, err := readHead(c.br); h != "HTTP/1.1 100 Continue\r\n\r\n" {
				t.Fatalf("%q %v", h, err)
			}
			c.send("hello")
			if a := c.read("POST"); a.body != "hello" || a.Close {
				t.Fatalf("answer %d %q", a.StatusCode, a.body)
			}
			g.completed(n + 1) // and the connection is given back
		}
		if o.conns.Load() != 1 {
			t.Errorf("%d upstream connections, want 1", o.conns.Load())
		}
	})
	for _, status := range []string{"417 Expectation Failed", "401 Unauthorized"} {
		t.Run("upstream says "+status, func(t *testing.T) {
			o := startOrigin(t, func(c *originConn) {
				c.head()
				c.send("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno")
				if rest, _ := io.ReadAll(c.br); len(rest) > 0 {
					t.Errorf("the upstream got %q", rest)
				}
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			c.send(head)
			a := c.read("POST")
			if !strings.HasPrefix(a.Status, status) || a.body != "no" || !a.Close {
				t.Errorf("answer %s %q close=%v", a.Status, a.body, a.Close)
			}
			g.completed(1) // else the body could be quicker than the end of the exchange
			io.WriteString(c, "hello"+next)
			c.expectEnd()
		})
	}
	t.Run("upstream ignores it", func(t *testing.T) {
		o := startOrigin(t, echo)
		c := dial(t, start(t, toOrigin(o.addr)))
		c.send(head)
		time.Sleep(50 * time.Millisecond) // The client loses its patience.
		c.send("hello")
		// net/http's reader on the origin's side answers only with the whole body.
		if a := c.read("POST"); a.body != "POST /up\nhello" {
			t.Errorf("answer %q", a.body)
		}
	})
	t.Run("body comes along", func(t *testing.T) {
		o := startOrigin(t, echo)
		c := dial(t, start(t, toOrigin(o.addr)))
		c.send(head + "hello")
		if a := c.read("POST"); a.body != "POST /up\nhello" {
			t.Errorf("answer %q", a.body)
		}
	})
	t.Run("no route", func(t *testing.T) {
		c := dial(t, start(t, withRoutes(nil)))
		c.send(head)
		if a := c.read("POST"); a.StatusCode != 404 || !a.Close {
			t.Errorf("answer %d close=%v", a.StatusCode, a.Close)
		}
	})
}

// A small body that comes slowly is not refused.
func TestSlowSmallBody(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, echo)
	g := start(t, toOrigin(o.addr), func(s *setup) { s.server.Timeouts.Head = 4 * time.Second })
	c := dial(t, g)
	for range 2 {
		c.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
		time.Sleep(4500 * time.Millisecond) // more than a head may take
		c.send("56789")
		if a := c.read("POST"); a.body != "POST /slow\n0123456789" {
			t.Fatalf("answer %d %q", a.StatusCode, a.body)
		}
	}
}

// An ordinary client of the standard library finds nothing amiss.
func TestStandardClient(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, echo)
	g := start(t, toOrigin(o.addr))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for n := range 50 {
		body := strings.Repeat("y", n*1500)
		resp, err := client.Post("http://"+g.addr+"/std", "text/plain", struct{ io.Reader }{strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != "POST /std\n"+body {
			t.Fatalf("answer of %d bytes: %v", len(got), err)
		}
	}
}
