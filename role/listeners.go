package role

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

const (
	// firstRetry and lastRetry bound the pause before a socket that could not be bound
	// is tried again; it doubles in between.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	// settle is how long a client that has just connected may take to send its request
	// when a listener closes, before its connection counts as idle.
	settle = 100 * time.Millisecond
)

// Bind asks for a socket for a listener.
type Bind struct {
	// Listener is the router.Listener's name. It may have several sockets.
	Listener string
	// Address is "host:port" or "unix:///path". Port 0 takes any that is free.
	Address string
	// Port is the one that the configuration asked for, for people.
	Port uint16
	// ProxyPort is the one of which ProxyProtocol speaks; 0 for what it says of every port.
	ProxyPort uint16
	// PortFromAuthority chooses the route table by the port in a request's authority.
	PortFromAuthority bool
	// Inbound says that what connects calls the sidecar's own workload.
	Inbound bool
	// Datagrams asks for a UDP socket, for HTTP/3. AltSvc is the port at which that is told
	// to clients that come by TCP; 0 tells them nothing.
	Datagrams bool
	AltSvc    uint16
	// Instead is the flag by which an operator moves the socket, "--port-map 80=8080".
	Instead string
}

// listeners holds the sockets that are wanted, and lets the others go. A socket that is
// wanted before and after a change is not touched, and so neither is a connection of it.
type listeners struct {
	// newServer returns the server of a socket. What headers returns is added to responses inside
	// TLS, and may change while the socket stays.
	newServer func(b Bind, headers func() []router.Header) *listener.Server
	// newDatagramServer is nil where there is no HTTP/3.
	newDatagramServer func(Bind) DatagramServer
	// headers are what responses inside TLS say of a socket.
	headers func(Bind) []router.Header
	// grace bounds how long the connections of a socket that is let go may take.
	grace   time.Duration
	logger  *slog.Logger
	changed func() // called without the lock after a retry changed something
	backoff time.Duration
	// settled waits until clients that have just connected may have sent their request, or
	// the context ends.
	settled func(context.Context)

	mu     sync.Mutex
	held   []*binding // in the order wanted
	freed  bool       // an address has come free since acquire
	closed bool
	retry  *time.Timer

	// leaving counts sockets whose connections are ending; hurry ends their patience.
	leaving sync.WaitGroup
	hurry   context.Context
	rush    context.CancelFunc
}

// binding is a socket that is wanted, bound or not.
type binding struct {
	Bind
	server server  // nil while it cannot be bound
	socket *socket // nil for datagrams
	said   atomic.Pointer[said]
	at     string // where it is bound
	served chan struct{}
	err    error
	pause  time.Duration
	due    time.Time
}

// server serves the connections of a socket.
type server interface {
	Connections() int
	Drain(context.Context) error
}

// DatagramServer serves the clients of one UDP socket. It is an interface so that a sidecar,
// which has no HTTP/3, does not carry it.
type DatagramServer interface {
	server
	// Serve serves until conn is closed or the server has drained.
	Serve(conn net.PacketConn) error
}

func newListeners(newServer func(Bind, func() []router.Header) *listener.Server, grace time.Duration, logger *slog.Logger, changed func()) *listeners {
	s := &listeners{newServer: newServer, grace: grace, logger: logger, changed: changed, backoff: firstRetry, settled: settled}
	s.headers = func(Bind) []router.Header { return nil }
	s.hurry, s.rush = context.WithCancel(context.Background())
	return s
}

func settled(ctx context.Context) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
}

// release stops accepting at every socket that is not wanted any more. It returns when
// their addresses are free; their connections end in the background.
func (s *listeners) release(wanted []Bind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	stay := make(map[Bind]struct{}, len(wanted))
	for _, b := range wanted {
		stay[b.socket()] = struct{}{}
	}
	var going []*binding
	s.held = slices.DeleteFunc(s.held, func(l *binding) bool {
		_, stays := stay[l.Bind.socket()]
		if !stays && l.server != nil {
			going = append(going, l)
		}
		return !stays
	})
	halt(going)
	for _, l := range going {
		s.leave(l)
	}
	s.freed = s.freed || len(going) > 0
}

// halt has sockets stop accepting, all at once: each takes a moment.
func halt(list []*binding) {
	for _, l := range list {
		if l.socket != nil {
			l.socket.stop()
		}
	}
}

// leave stops a listener and ends its connections in the background.
func (s *listeners) leave(l *binding) {
	s.logger.Info("listener closes", "listener", l.Listener, "address", l.at, "connections", l.server.Connections())
	l.stop()
	s.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(s.hurry, s.grace)
		defer cancel()
		if err := s.end(ctx, l); err != nil {
			s.logger.Warn("connections were cut when their listener closed", "listener", l.Listener, "after", s.grace)
		}
		if l.Datagrams {
			<-l.served
			s.vacated()
		}
	})
}

// vacated tries the UDP sockets that may have waited for the address of one that has closed now.
func (s *listeners) vacated() {
	s.mu.Lock()
	for _, l := range s.held {
		if l.Datagrams && l.server == nil {
			l.due, l.pause = time.Now(), s.backoff
		}
	}
	s.mu.Unlock()
	s.again()
}

// stop stops accepting. A UDP socket goes on until its connections have ended.
func (l *binding) stop() {
	if l.socket != nil {
		l.socket.stop()
		<-l.served
	}
}

// end lets the connections of a listener that has stopped finish what they do.
func (s *listeners) end(ctx context.Context, l *binding) error {
	if l.socket != nil && l.server.Connections() > 0 {
		s.settled(ctx)
	}
	return l.server.Drain(ctx)
}

// acquire binds every wanted socket that is not held yet, and puts them in order. Those
// that cannot be bound are tried again later, or with the change that lets another one go.
func (s *listeners) acquire(wanted []Bind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	known := make(map[Bind]*binding, len(wanted))
	for _, l := range s.held {
		known[l.Bind.socket()] = l
	}
	held := make([]*binding, 0, len(wanted))
	taken := make(map[*binding]struct{}, len(wanted))
	for _, b := range wanted {
		l := known[b.socket()]
		if _, twice := taken[l]; twice {
			continue
		}
		fresh := l == nil
		if fresh {
			l = &binding{Bind: b}
			known[b.socket()] = l
			// It is let go again even if opening the next one panics.
			s.held = append(s.held, l)
		}
		l.AltSvc = b.AltSvc
		held, taken[l] = append(held, l), struct{}{}
		if fresh || s.freed && l.server == nil {
			l.pause = s.backoff
			s.open(l)
		}
	}
	s.held, s.freed = held, false
	s.tell()
	s.schedule()
}

// open binds a listener's socket and serves it.
func (s *listeners) open(l *binding) {
	serve, err := s.bind(l)
	if err != nil {
		err = s.blame(l.Bind, err)
		if l.err == nil {
			s.logger.Error("listener cannot be bound", "listener", l.Listener, "address", l.Address, "error", explainBind(l.Bind, err))
		}
		l.err = err
		l.due = time.Now().Add(l.pause)
		l.pause = min(2*l.pause, lastRetry)
		return
	}
	l.err, l.pause = nil, s.backoff
	l.served = make(chan struct{})
	s.logger.Info("listener serves", "listener", l.Listener, "address", l.at)
	server, served := l.server, l.served
	go func() {
		err := serve()
		close(served)
		if err != nil && l.Datagrams {
			s.logger.Error("HTTP/3 is served no more", "listener", l.Listener, "error", err.Error())
			s.lost(l, server, err)
		}
	}()
}

// lost has a UDP socket that fails bound anew, after a while.
func (s *listeners) lost(l *binding, was server, err error) {
	s.mu.Lock()
	held := !s.closed && l.server == was && slices.Contains(s.held, l)
	if held {
		l.server, l.err, l.due = nil, err, time.Now().Add(l.pause)
		s.leaving.Go(func() { was.Drain(s.hurry) }) // Its connections are gone with the socket.
		s.tell()
		s.schedule()
	}
	s.mu.Unlock()
	if held {
		s.changed()
	}
}

// bind binds a listener's socket, and returns what serves it.
func (s *listeners) bind(l *binding) (serve func() error, err error) {
	if l.Datagrams {
		server := s.newDatagramServer(l.Bind)
		conn, err := bindDatagrams(l.Address)
		if err != nil {
			return nil, err
		}
		l.server, l.at = server, conn.LocalAddr().String()+ofDatagrams
		return func() error {
			defer conn.Close()
			return server.Serve(conn)
		}, nil
	}
	l.say(s, false) // until tell knows better
	server := s.newServer(l.Bind, func() []router.Header { return l.said.Load().headers })
	if l.socket, err = bind(s.hurry, l.Address); err != nil {
		l.socket = nil
		return nil, err
	}
	l.server, l.at = server, l.socket.address()
	return func() error { return server.Serve(l.socket) }, nil
}

// schedule sets the alarm for the next listener to try again.
func (s *listeners) schedule() {
	if s.retry != nil {
		s.retry.Stop()
		s.retry = nil
	}
	var next time.Time
	for _, l := range s.held {
		if l.server == nil && (next.IsZero() || l.due.Before(next)) {
			next = l.due
		}
	}
	if !next.IsZero() {
		s.retry = time.AfterFunc(time.Until(next), s.again)
	}
}

// again tries the listeners whose time has come.
func (s *listeners) again() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	bound := false
	now := time.Now()
	for _, l := range s.held {
		if l.server == nil && !l.due.After(now) {
			s.open(l)
			bound = bound || l.server != nil
		}
	}
	s.tell()
	s.schedule()
	s.mu.Unlock()
	if bound {
		s.changed()
	}
}

// drain stops accepting everywhere, lets running requests finish until ctx ends, and
// then cuts what is left. It returns ctx's error where something was cut.
func (s *listeners) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	if s.retry != nil {
		s.retry.Stop()
	}
	held := slices.DeleteFunc(slices.Clone(s.held), func(l *binding) bool { return l.server == nil })
	s.mu.Unlock()

	stop := context.AfterFunc(ctx, s.rush)
	defer stop()
	halt(held)
	errs := make([]error, len(held))
	var ending sync.WaitGroup
	for i, l := range held {
		ending.Go(func() {
			l.stop()
			errs[i] = s.end(ctx, l)
		})
	}
	ending.Wait()
	s.leaving.Wait()
	s.rush()
	return errors.Join(errs...)
}

// ready returns why the sockets are not, or nil. One that cannot be bound does not
// keep the others from their work, so it is no reason, unless none can.
func (s *listeners) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.held {
		if l.server != nil {
			return nil
		}
	}
	if len(s.held) == 0 {
		return nil
	}
	return errors.New("no listener can be bound: " + explainBind(s.held[0].Bind, s.held[0].err))
}

// status returns the state of every socket.
func (s *listeners) status() []admin.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]admin.Listener, len(s.held))
	for i, l := range s.held {
		list[i] = admin.Listener{Name: l.Listener, Address: l.asked(), Port: l.Port, Inbound: l.Inbound}
		if l.server != nil {
			list[i].Address, list[i].Connections = l.at, l.server.Connections()
		}
		switch {
		case s.closed:
			list[i].Error = "closed: the process drains"
		case l.server == nil:
			list[i].Error = explainBind(l.Bind, l.err)
		default:
			list[i].Bound = true
		}
	}
	return list
}

// drains tells whether the sockets have been closed for good.
func (s *listeners) drains() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// connections returns the open connections by listener.
func (s *listeners) connections() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := make(map[string]int, len(s.held))
	for _, l := range s.held {
		if l.server != nil {
			n[l.Listener] += l.server.Connections()
		}
	}
	return n
}

// conditions returns one for each socket that cannot be bound. After a drain nobody tries to.
func (s *listeners) conditions() []config.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	var list []config.Condition
	for _, l := range s.held {
		if l.err != nil {
			list = append(list, bindCondition(l.Bind, l.err))
		}
	}
	return list
}
