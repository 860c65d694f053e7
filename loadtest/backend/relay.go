package backend

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"

	"github.com/spf13/pflag"
)

// relay is the least that a proxy can do: it reads what a client sends, writes it to a backend over
// a connection that it keeps, reads the answer, writes that to the client, and sleeps. It looks at no
// byte and takes what one read brings for a whole message, which small ones of this test are. What a
// proxy costs more than that is for its own work.
type relay struct {
	to syscall.SockaddrInet4
	// idle are connections to the backend that no answer is waited for on, the last used at the
	// end: as in every proxy it is the next to be used.
	idle []*conn
}

// RelayMain is the command that stands in the place of a proxy: it listens at --address and passes
// on what comes to --to, until it is killed.
func RelayMain(args []string) error {
	flags := pflag.NewFlagSet("relay", pflag.ContinueOnError)
	address := flags.String("address", "", "where it listens, an IPv4 address and port")
	to := flags.String("to", "", "the backend's address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	l, err := newRelay(*address, *to)
	if err != nil {
		return err
	}
	return l.run(true)
}

func newRelay(address, to string) (*loop, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("--address: %w", err)
	}
	backend, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	if !at.Addr().Is4() || !backend.Addr().Is4() {
		return nil, fmt.Errorf("--address %s, --to %s: must be of IPv4", at, backend)
	}
	r := &relay{to: syscall.SockaddrInet4{Port: int(backend.Port()), Addr: backend.Addr().As4()}}
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	fd, _, err := socket(syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	if err != nil {
		return nil, err
	}
	return l, l.accept(fd, r.greet)
}

// greet has what a client sends go to the backend, and the answer to the client.
func (r *relay) greet(l *loop, client *conn) handler {
	answer := func(l *loop, c *conn, in []byte) (int, error) {
		r.idle = append(r.idle, c)
		// The client may have left, and its number be another's.
		if l.conns[client.fd] != client {
			return len(in), nil
		}
		return len(in), l.pass(client, in)
	}
	return func(l *loop, _ *conn, in []byte) (int, error) {
		c, err := r.connection(l)
		if err != nil {
			return 0, err
		}
		c.handle = answer
		return len(in), l.pass(c, in)
	}
}

// connection returns one to the backend.
func (r *relay) connection(l *loop) (*conn, error) {
	for n := len(r.idle); n > 0; n = len(r.idle) {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		if l.conns[c.fd] == c { // the backend has not closed it
			return c, nil
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Connect(fd, &r.to); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("the backend: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	c := &conn{fd: fd}
	return c, l.keep(c)
}

// pass writes to another connection than the one that was read.
func (l *loop) pass(c *conn, p []byte) error {
	if err := c.write(p); err != nil {
		return err
	}
	if len(c.waiting) > 0 {
		return l.watch(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLOUT)
	}
	return nil
}
