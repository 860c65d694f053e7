package role

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/freeport"
)

// patience is how long tests wait for what happens soon, unless the machine is busy.
const patience = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// echo answers every request with its listener's name. A request for /slow waits until
// it is let go, one for /stuck until its client has been given up on.
type echo struct {
	arrived chan struct{}
	letGo   chan struct{}
}

func (e *echo) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	if ex.Request.Path == "/slow" {
		e.arrived <- struct{}{}
		<-e.letGo
	}
	if ex.Request.Path == "/stuck" {
		e.arrived <- struct{}{}
		for lost := false; !lost; lost, _ = down.Lost() {
			time.Sleep(time.Millisecond)
		}
	}
	body := []byte(ex.Request.Listener)
	down.Respond(ex, &proxy.Response{
		Status:         200,
		Headers:        []router.Header{{Name: "content-type", Value: "text/plain"}},
		Body:           proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))},
		DeclaredLength: -1,
	}, body, true)
}

// Reject answers what the codec refused.
func (e *echo) Reject(ex *proxy.Exchange, down proxy.Downstream, _ proxy.Rejection) {
	e.Serve(ex, down)
}

// start returns an empty set of listeners whose servers are e.
func start(t *testing.T, e *echo) *listeners {
	t.Helper()
	s := newListeners(func(b Bind, _ func() []router.Header) *listener.Server {
		o := http1.Options{Engine: e}.WithDefaults()
		return listener.NewServer(listener.Options{Name: b.Listener, HTTP: func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
			return http1.NewSession(conn, early, info, o)
		}})
	}, patience, quiet, func() {})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.drain(ctx)
	})
	return s
}

func (s *listeners) set(wanted ...Bind) {
	s.release(wanted)
	s.acquire(wanted)
}

// at returns where a listener serves.
func (s *listeners) at(t *testing.T, name string) string {
	t.Helper()
	for _, l := range s.status() {
		if l.Name == name && l.Bound {
			return l.Address
		}
	}
	t.Fatalf("%s is not bound: %+v", name, s.status())
	return ""
}

// freeAddress returns an address that nothing listens on.
func freeAddress() string { return fmt.Sprintf("127.0.0.1:%d", freeport.Take()) }

// client is one keep-alive connection.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{c, bufio.NewReader(c)}
}

func (c *client) send(path string) error {
	c.SetDeadline(time.Now().Add(patience))
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nhost: x\r\n\r\n", path)
	return err
}

// receive returns the body of the next response.
func (c *client) receive() (string, error) {
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

func (c *client) get(t *testing.T, path, want string) {
	t.Helper()
	if err := c.send(path); err != nil {
		t.Fatal(err)
	}
	if body, err := c.receive(); err != nil || body != want {
		t.Fatalf("got %q, %v; want %q", body, err, want)
	}
}

// TestListenersComeAndGo: a change touches the listeners that it is about, and no
// connection of another.
func TestListenersComeAndGo(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	a, b, c := Bind{Listener: "a", Address: "127.0.0.1:0"}, Bind{Listener: "b", Address: freeAddress()}, Bind{Listener: "c", Address: freeAddress()}
	s.set(a, b)
	stays, goes := dial(t, s.at(t, "a")), dial(t, s.at(t, "b"))
	stays.get(t, "/", "a")
	goes.get(t, "/", "b")
	old := s.at(t, "a")

	s.set(c, a)
	stays.get(t, "/", "a")
	if now := s.at(t, "a"); now != old {
		t.Errorf("a moved from %s to %s", old, now)
	}
	dial(t, s.at(t, "c")).get(t, "/", "c")
	if _, err := goes.r.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection of a listener that is gone: %v, want EOF", err)
	}
	if _, err := net.Dial("tcp", b.Address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("b still listens: %v", err)
	}
	if names := fmt.Sprint(s.connections()); !strings.Contains(names, "a:1") {
		t.Errorf("connections: %s", names)
	}

	s.set(a, b)
	dial(t, s.at(t, "b")).get(t, "/", "b")
	stays.get(t, "/", "a")
}

// TestAddressChangesHands: an address goes from one listener to another in one change.
func TestAddressChangesHands(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	address := freeAddress()
	for i := range 20 {
		name := fmt.Sprint("listener ", i)
		s.set(Bind{Listener: name, Address: address})
		dial(t, s.at(t, name)).get(t, "/", name)
	}
}

// TestRunningRequestSurvivesItsListener: what runs when a listener goes is finished.
func TestRunningRequestSurvivesItsListener(t *testing.T) {
	t.Parallel()
	e := &echo{arrived: make(chan struct{}, 1), letGo: make(chan struct{})}
	s := start(t, e)
	s.set(Bind{Listener: "a", Address: "127.0.0.1:0"})
	c := dial(t, s.at(t, "a"))
	if err := c.send("/slow"); err != nil {
		t.Fatal(err)
	}
	<-e.arrived
	s.set()
	close(e.letGo)
	if body, err := c.receive(); err != nil || body != "a" {
		t.Errorf("got %q, %v", body, err)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("then the connection should end, but: %v", err)
	}
}

// TestPortTaken: a port that another has is a condition, the other listeners serve,
// and once it is free it is taken.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &echo{})
	s.backoff = 5 * time.Millisecond
	changed := make(chan struct{}, 1)
	s.changed = func() { changed <- struct{}{} }
	taken := Bind{Listener: "taken", Address: other.Addr().String(), Instead: "--port-map 80=8080"}
	s.set(taken)
	if err := s.ready(); err == nil || !strings.Contains(err.Error(), "no listener can be bound") {
		t.Errorf("ready: %v", err)
	}
	s.set(taken, Bind{Listener: "free", Address: "127.0.0.1:0"})
	if err := s.ready(); err != nil {
		t.Errorf("one of two is bound, but ready says %v", err)
	}
	dial(t, s.at(t, "free")).get(t, "/", "free")
	list := s.conditions()
	if len(list) != 1 || list[0].Reason != PortTaken || list[0].Object.Name != "taken" || !strings.Contains(list[0].Message, "--port-map 80=8080") {
		t.Errorf("conditions: %+v", list)
	}
	other.Close()
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatal("it is not tried again")
	}
	dial(t, s.at(t, "taken")).get(t, "/", "taken")
	if list := s.conditions(); len(list) != 0 {
		t.Errorf("conditions: %+v", list)
	}
}

func TestBindConditions(t *testing.T) {
	t.Parallel()
	op := func(errno syscall.Errno) error { return &net.OpError{Op: "listen", Err: errno} }
	for _, c := range []struct {
		err    error
		reason string
		text   string
	}{
		{op(syscall.EADDRINUSE), "PortTaken", "cannot listen on 0.0.0.0:80: another process or listener has it; stop that one, or listen elsewhere: --port-map 80=8080; it is tried again"},
		{op(syscall.EACCES), "PortForbidden", "CAP_NET_BIND_SERVICE"},
		{op(syscall.EADDRNOTAVAIL), "AddressUnknown", "no network interface"},
		{op(syscall.EMFILE), "BindFailed", "too many open files"},
	} {
		got := bindCondition(Bind{Listener: "http", Address: "0.0.0.0:80", Instead: "--port-map 80=8080"}, c.err)
		if string(got.Reason) != c.reason || !strings.Contains(got.Message, c.text) {
			t.Errorf("%v: %s %s", c.err, got.Reason, got.Message)
		}
	}
}

func TestUnixListener(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	path := filepath.Join(t.TempDir(), "gateway.sock")
	s.set(Bind{Listener: "u", Address: unixScheme + path})
	if at := s.at(t, "u"); at != unixScheme+path {
		t.Errorf("it listens at %s", at)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	(&client{conn, bufio.NewReader(conn)}).get(t, "/", "u")
}

// TestDrainUnderLoad: from clients that open connections and send requests as fast as
// they can, no request that was taken in is lost.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	s.set(Bind{Listener: "a", Address: "127.0.0.1:0"})
	c := &crowd{address: s.at(t, "a"), want: "a"}
	s.settled = c.settled
	c.call(t, 16)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
	c.Wait()
}

// TestDrainIsBounded: a request that does not end in time is given up, and that is said.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	e := &echo{arrived: make(chan struct{}, 1)}
	s := start(t, e)
	s.set(Bind{Listener: "a", Address: "127.0.0.1:0"})
	if err := dial(t, s.at(t, "a")).send("/stuck"); err != nil {
		t.Fatal(err)
	}
	<-e.arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
}

// TestAddressComesFree: a listener whose address another one had is bound with the change that
// lets that one go, however long it would have been until the next attempt.
func TestAddressComesFree(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	s.backoff = time.Hour
	_, port, _ := net.SplitHostPort(freeAddress())
	wide, narrow := Bind{Listener: "wide", Address: "0.0.0.0:" + port}, Bind{Listener: "narrow", Address: "127.0.0.1:" + port}
	s.set(wide)
	s.set(wide, narrow)
	if list := s.conditions(); len(list) != 1 || list[0].Reason != PortTaken || list[0].Object.Name != "narrow" {
		t.Fatalf("conditions: %+v", list)
	}
	if want := "listener wide has it; give one of them another port or address"; !strings.Contains(s.conditions()[0].Message, want) {
		t.Errorf("%s, want %s", s.conditions()[0].Message, want)
	}
	s.set(narrow)
	dial(t, s.at(t, "narrow")).get(t, "/", "narrow")
	if list := s.conditions(); len(list) != 0 {
		t.Errorf("conditions: %+v", list)
	}
}

// TestManyGo: listeners that go together do so together, not each after the moment that the one
// before has for its handshakes.
func TestManyGo(t *testing.T) {
	t.Parallel()
	s := start(t, &echo{})
	const many = 200
	var binds []Bind
	for i := range many {
		binds = append(binds, Bind{Listener: fmt.Sprint(i), Address: fmt.Sprintf("127.0.0.%d:0", i+1)})
	}
	s.set(binds...)
	s.at(t, fmt.Sprint(many-1))
	began := time.Now()
	s.set()
	if took := time.Since(began); took > many*handshake/2 {
		t.Errorf("%d listeners took %v", many, took)
	}
}

// TestStatusOfDrained: a socket that has been closed for good is not shown as one that serves, nor
// as one that is tried again.
func TestStatusOfDrained(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := start(t, &echo{})
	s.set(Bind{Listener: "a", Address: "127.0.0.1:0"}, Bind{Listener: "taken", Address: other.Addr().String()})
	p := &process{listeners: s}
	if bound, unbound := p.listenerMetrics(); bound != 1 || unbound != 1 || len(s.conditions()) != 1 {
		t.Errorf("before: %d are bound, %d are not, conditions %v", bound, unbound, s.conditions())
	}
	if err := s.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.status() {
		if l.Bound || !strings.Contains(l.Error, "drains") {
			t.Errorf("%+v", l)
		}
	}
	if bound, unbound := p.listenerMetrics(); bound != 0 || unbound != 0 || len(s.conditions()) != 0 {
		t.Errorf("%d are bound, %d are not, conditions %v", bound, unbound, s.conditions())
	}
}
