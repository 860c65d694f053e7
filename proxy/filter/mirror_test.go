package filter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

const (
	patience = 30 * time.Second
	ok       = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
)

// server is a mirror: it tells what it gets, and answers with what answer returns.
type server struct {
	addr string
	seen chan string
}

func serve(t *testing.T, answer func(conn net.Conn, r *http.Request) bool) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), seen: make(chan string, 64)}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Add(1)
			go func() {
				defer all.Done()
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				for br := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return
					}
					s.seen <- fmt.Sprint(r.Method, " ", r.Host, r.RequestURI, " ", r.Header.Get("x-a"), " ", string(body), r.Trailer.Get("x-t"))
					if !answer(conn, r) {
						return
					}
				}
			}()
		}
	}()
	return s
}

func answering(s string) func(net.Conn, *http.Request) bool {
	return func(conn net.Conn, _ *http.Request) bool {
		_, err := io.WriteString(conn, s)
		return err == nil
	}
}

func hanging(conn net.Conn, _ *http.Request) bool {
	conn.Read(make([]byte, 1))
	return false
}

// bench is a Mirrors with clusters for it.
type bench struct {
	*Mirrors
	t        *testing.T
	route    *router.CompiledRoute
	clusters []*upstream.Cluster
}

// mirrorTo makes a route all of whose requests are copied to the addresses, a cluster each,
// named m0, m1 and so on.
func mirrorTo(t *testing.T, o MirrorOptions, addresses ...string) *bench {
	t.Helper()
	manager := upstream.NewManager(upstream.Options{})
	b := &bench{Mirrors: NewMirrors(o), t: t, route: &router.CompiledRoute{Handling: &router.Handling{CompiledAction: &router.CompiledAction{}}}}
	t.Cleanup(func() { b.Close(); manager.Close() })
	var specs []*router.Cluster
	for i, a := range addresses {
		name := fmt.Sprint("m", i)
		specs = append(specs, &router.Cluster{Name: name, Endpoints: []*router.Endpoint{{Address: a}}})
		b.route.Mirrors = append(b.route.Mirrors, router.CompiledMirror{Cluster: router.ClusterRef{Name: name, ID: i}, Fraction: router.AllTraffic})
	}
	b.clusters = manager.Update(specs, nil)
	return b
}

func (b *bench) send(ex *proxy.Exchange, down proxy.Downstream) *Tee {
	return b.Send(ex, b.route, b.clusters, func() uint64 { return 0 }, down)
}

// settled waits until nothing is on its way, and returns the cluster's status.
func (b *bench) settled(cluster string) MirrorStatus {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if b.active.Load() == 0 {
			break
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d copies are still on their way", b.active.Load())
		}
	}
	for _, s := range b.Status() {
		if s.Cluster == cluster {
			return s
		}
	}
	return MirrorStatus{}
}

// want compares a status with counts and dropped, by reason.
func (b *bench) want(cluster string, total, success, failed uint64, dropped map[DropReason]uint64) {
	b.t.Helper()
	want := MirrorStatus{Cluster: cluster, Total: total, Success: success, Failed: failed}
	for why, n := range dropped {
		want.Dropped[why] = n
	}
	if got := b.settled(cluster); got != want {
		b.t.Errorf("%+v, want %+v", got, want)
	}
	if n := b.memory.Load(); n != 0 {
		b.t.Errorf("%d bytes are still counted", n)
	}
}

// request is one whose memory is written over by scribble.
func request(body string) (ex *proxy.Exchange, scribble func()) {
	buffer := []byte("POST/path?qb.examplex-a1" + body)
	at := 0
	next := func(n int) string { at += n; return unsafeString(buffer[at-n : at]) }
	ex = &proxy.Exchange{}
	ex.Request.Method, ex.UpstreamPath, ex.UpstreamAuthority = next(4), next(7), next(9)
	ex.Request.Headers = []router.Header{{Name: next(3), Value: next(1)}}
	ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}
	ex.Buffered, ex.Payload = true, buffer[at:]
	return ex, func() {
		for i := range buffer {
			buffer[i] = '#'
		}
	}
}

// stream is a client whose body comes in pieces; err ends it.
type stream struct {
	sink
	pieces []string
	at     int
	err    error
}

func (s *stream) ReadBody(p []byte) (int, error) {
	if s.at == len(s.pieces) {
		return 0, s.err
	}
	s.at++
	n := copy(p, s.pieces[s.at-1])
	if s.at == len(s.pieces) {
		return n, s.err
	}
	return n, nil
}

func (s *stream) Rewind() bool { s.at = 0; return true }

func (s *stream) Trailers() []router.Header { return list("x-t: end") }

// streaming makes the request one whose body comes from a stream.
func streaming(pieces ...string) (*proxy.Exchange, *stream) {
	ex, _ := request("")
	ex.Buffered, ex.Payload, ex.Body = false, nil, proxy.Body{Kind: proxy.BodyStream}
	return ex, &stream{pieces: pieces, err: io.EOF}
}

// drain reads the body as an upstream's connection does.
func drain(down proxy.Downstream) (string, error) {
	var all strings.Builder
	p := make([]byte, 1<<16)
	for {
		n, err := down.ReadBody(p)
		all.Write(p[:n])
		if err != nil {
			return all.String(), err
		}
	}
}

// Copies go to every mirror, and share nothing with the exchange.
func TestMirrorCopies(t *testing.T) {
	t.Parallel()
	var servers []*server
	for _, status := range []string{"200 OK", "404 Not Found", "503 Service Unavailable"} {
		servers = append(servers, serve(t, answering("HTTP/1.1 "+status+"\r\ncontent-length: 0\r\n\r\n")))
	}
	b := mirrorTo(t, MirrorOptions{}, servers[0].addr, servers[1].addr, servers[2].addr)
	ex, scribble := request("body")
	if b.send(ex, &sink{}) != nil {
		t.Error("a body that is there was given a Tee")
	}
	scribble()
	for _, s := range servers {
		if got := <-s.seen; got != "POST b.example/path?q 1 body" {
			t.Errorf("the mirror got %q", got)
		}
	}
	b.want("m0", 1, 1, 0, nil)
	b.want("m1", 1, 1, 0, nil)
	b.want("m2", 1, 0, 1, nil)
}

// The mirrors of one request are served at the same time, and none changes what all are sent.
func TestMirrorsShareCopy(t *testing.T) {
	t.Parallel()
	one, two := serve(t, answering(ok)), serve(t, answering(ok))
	b := mirrorTo(t, MirrorOptions{}, one.addr, two.addr)
	ex, _ := request("hello")
	c, taken := b.copy(ex)
	if !taken || !c.take(ex.Payload, nil) {
		t.Fatal("the request was not copied")
	}
	var targets []target
	for i, cluster := range b.clusters {
		counts := b.cluster(b.route.Mirrors[i].Cluster.Name)
		counts.total.Add(1)
		targets = append(targets, target{cluster: cluster, counts: counts})
	}
	need := c.need
	b.launch(c, b.admit(targets))
	<-one.seen
	<-two.seen
	b.want("m0", 1, 1, 0, nil)
	b.want("m1", 1, 1, 0, nil)
	if !reflect.DeepEqual(c.need, need) {
		t.Errorf("what the copy needs is %+v, and was %+v", c.need, need)
	}
}

// What is not to be copied costs nothing and is not counted.
func TestMirrorNotAsked(t *testing.T) {
	b := mirrorTo(t, MirrorOptions{}, "127.0.0.1:1")
	ex, _ := request("")
	ex.Request.Upgrade = "websocket"
	b.send(ex, &sink{})
	ex.Request.Upgrade = ""
	b.route.Mirrors[0].Fraction = 1
	out := func() uint64 { return 1 }
	if n := testing.AllocsPerRun(100, func() { b.Send(ex, b.route, b.clusters, out, nil) }); n != 0 {
		t.Errorf("a request outside of the share makes %v allocations", n)
	}
	if s := b.Status(); s != nil {
		t.Errorf("counted: %+v", s)
	}
}

func TestMirrorDrops(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(ok))
	for name, test := range map[string]struct {
		options MirrorOptions
		change  func(*bench)
		body    string
		why     DropReason
	}{
		"body":    {options: MirrorOptions{MaxBody: 3}, body: "long", why: DropBody},
		"memory":  {options: MirrorOptions{MaxMemory: 27}, body: "long", why: DropMemory},
		"head":    {options: MirrorOptions{MaxMemory: 3}, why: DropMemory},
		"cluster": {change: func(b *bench) { b.clusters = nil }, why: DropNoCluster},
		"closed":  {change: func(b *bench) { b.Close() }, why: DropClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mirrorTo(t, test.options, s.addr)
			if test.change != nil {
				test.change(b)
			}
			ex, _ := request(test.body)
			b.send(ex, &sink{})
			b.want("m0", 1, 0, 0, map[DropReason]uint64{test.why: 1})
		})
	}
}

// No more copies are on their way than may be, to one cluster and in all; a cluster that
// hangs leaves the others room.
func TestMirrorConcurrency(t *testing.T) {
	t.Parallel()
	stuck, good := serve(t, hanging), serve(t, answering(ok))
	b := mirrorTo(t, MirrorOptions{MaxActive: 3, MaxPerCluster: 2}, stuck.addr, good.addr)
	all := b.route.Mirrors
	ex, _ := request("")
	b.route.Mirrors = all[:1]
	for range 5 {
		b.send(ex, &sink{})
	}
	b.route.Mirrors = all[1:]
	b.send(ex, &sink{})
	<-good.seen
	<-stuck.seen
	<-stuck.seen
	for end := time.Now().Add(patience); b.cluster("m1").active.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	b.Close()
	b.want("m0", 5, 0, 2, map[DropReason]uint64{DropCluster: 3})
	b.want("m1", 1, 1, 0, nil)

	b = mirrorTo(t, MirrorOptions{MaxActive: 1}, stuck.addr, stuck.addr)
	b.send(ex, &sink{})
	<-stuck.seen
	b.Close()
	b.want("m1", 1, 0, 0, map[DropReason]uint64{DropActive: 1})
}

// A mirror that is dead, silent, or talks nonsense is a failure, in time.
func TestMirrorFails(t *testing.T) {
	t.Parallel()
	// Nobody listens at the first; a port that was let go of somebody else might have.
	addresses := []string{"127.0.0.1:1", serve(t, hanging).addr, serve(t, answering("nonsense\r\n\r\n")).addr,
		serve(t, func(net.Conn, *http.Request) bool { return false }).addr}
	b := mirrorTo(t, MirrorOptions{Timeout: 100 * time.Millisecond}, addresses...)
	ex, _ := request("")
	b.send(ex, &sink{})
	for i := range addresses {
		b.want(fmt.Sprint("m", i), 1, 0, 1, nil)
	}
}

// A response that is larger than what is read of one was a response all the same.
func TestMirrorLargeResponse(t *testing.T) {
	t.Parallel()
	s := serve(t, func(conn net.Conn, r *http.Request) bool {
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
		for {
			if _, err := fmt.Fprintf(conn, "400\r\n%s\r\n", strings.Repeat("x", 1024)); err != nil {
				return false
			}
		}
	})
	b := mirrorTo(t, MirrorOptions{MaxResponse: 4096}, s.addr)
	ex, _ := request("")
	b.send(ex, &sink{})
	b.want("m0", 1, 1, 0, nil)
}

// A mirror that leads to the listener which the request came in by would be mirrored for ever.
func TestMirrorLoop(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(ok))
	b := mirrorTo(t, MirrorOptions{}, s.addr)
	ex, _ := request("")
	ex.Local = netip.MustParseAddrPort(s.addr)
	b.send(ex, &sink{})
	b.want("m0", 1, 0, 1, nil)
	if len(s.seen) > 0 {
		t.Error("the listener was asked")
	}
}

// A kept connection that was closed meanwhile does not make a failure.
func TestMirrorStaleConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	conns := map[net.Conn]int{}
	s := serve(t, func(conn net.Conn, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		// The second request of a connection finds it closing.
		if conns[conn]++; conns[conn] == 2 {
			return false
		}
		io.WriteString(conn, ok)
		return true
	})
	b := mirrorTo(t, MirrorOptions{}, s.addr)
	for i := range uint64(2) {
		ex, _ := request("")
		ex.Request.Method = "GET"
		b.send(ex, &sink{})
		b.want("m0", i+1, i+1, 0, nil)
	}
}

// The body of a stream goes with the copy when it has ended, be it read twice.
func TestTee(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(ok))
	b := mirrorTo(t, MirrorOptions{}, s.addr)
	ex, down := streaming("one, ", "two, ", "three")
	tee := b.send(ex, down)
	// The first try reads two pieces, the second all of them.
	p := make([]byte, 64)
	tee.ReadBody(p)
	tee.ReadBody(p)
	if !tee.Rewind() {
		t.Fatal("no rewinding")
	}
	if got, err := drain(tee); got != "one, two, three" || err != io.EOF {
		t.Errorf("the upstream got %q, %v", got, err)
	}
	tee.End()
	if got := <-s.seen; got != "POST b.example/path?q 1 one, two, threeend" {
		t.Errorf("the mirror got %q", got)
	}
	b.want("m0", 1, 1, 0, nil)
}

// A body that is too large, breaks off, or finds no memory goes on to the upstream alone.
func TestTeeDrops(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options MirrorOptions
		err     error
		why     DropReason
	}{
		"body":       {MirrorOptions{MaxBody: 9}, io.EOF, DropBody},
		"memory":     {MirrorOptions{MaxMemory: 30}, io.EOF, DropMemory},
		"trailers":   {MirrorOptions{MaxMemory: 24 + 10 + 5}, io.EOF, DropMemory},
		"broken off": {MirrorOptions{}, errors.New("gone"), DropIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mirrorTo(t, test.options, "127.0.0.1:1")
			ex, down := streaming("12345", "67890")
			down.err = test.err
			tee := b.send(ex, down)
			if got, err := drain(tee); got != "1234567890" || err != test.err {
				t.Errorf("the upstream got %q, %v", got, err)
			}
			tee.End()
			b.want("m0", 1, 0, 0, map[DropReason]uint64{test.why: 1})
		})
	}
}

// Clusters that are no more are forgotten.
func TestMirrorKeep(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(ok))
	b := mirrorTo(t, MirrorOptions{}, s.addr, s.addr)
	ex, _ := request("")
	b.send(ex, &sink{})
	b.settled("m0")
	b.Keep(b.clusters[1:])
	if all := b.Status(); len(all) != 1 || all[0].Cluster != "m1" {
		t.Errorf("kept %+v", all)
	}
}

// A mirror behind a proxy of the mesh is told who asks, others are not; and each copy of a traced
// request is a span of its own.
func TestMirrorTold(t *testing.T) {
	t.Parallel()
	heads := make(chan http.Header, 4)
	answer := func(conn net.Conn, r *http.Request) bool {
		heads <- r.Header
		io.WriteString(conn, ok)
		return true
	}
	b := mirrorTo(t, MirrorOptions{PeerHeaders: []router.Header{{Name: "x-peer", Value: "us"}}}, serve(t, answer).addr, serve(t, answer).addr)
	meshed := &router.Cluster{Name: "m1", Endpoints: []*router.Endpoint{{Address: b.clusters[1].Spec.Endpoints[0].Address, Labels: map[string]string{"sidecar.istio.io/inject": "true"}}}}
	manager := upstream.NewManager(upstream.Options{})
	t.Cleanup(manager.Close)
	b.clusters = manager.Update([]*router.Cluster{b.clusters[0].Spec, meshed}, nil)
	ex, _ := request("")
	ex.Trace = proxy.Trace{Tracing: &router.Tracing{}, Sampled: true, W3C: true}
	b.Send(ex, b.route, b.clusters, rand.Uint64, &sink{})
	spans := map[string]bool{}
	for _, try := range ex.Trace.Tries {
		spans[fmt.Sprintf("%x", try.Span)] = try.Mirror && try.Cluster == b.clusters[0].Spec || try.Cluster == meshed
	}
	peers := 0
	for range 2 {
		head := <-heads
		if head.Get("X-Peer") == "us" {
			peers++
		}
		if parent := head.Get("Traceparent"); len(parent) < 52 || !spans[parent[36:52]] {
			t.Errorf("a copy was told %q, the spans are %v", parent, spans)
		}
	}
	if peers != 1 || len(spans) != 2 || len(ex.Request.Headers) != 1 {
		t.Errorf("%d mirrors were told who asks, of %d copies; the request has %v", peers, len(spans), ex.Request.Headers)
	}
	b.settled("m1")
}

// unsafeString aliases b, as a codec's strings alias its buffers.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
