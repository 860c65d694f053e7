package backend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Echo is a query that has backends answer with the request's head as they got it, behind a
// line that says which backend it was.
const Echo = "echo"

// Commands are those that the load test starts itself, by name.
var Commands = map[string]func(args []string) error{"backend": Main, "relay": RelayMain}

// Start starts as many backends as the site has weights, one at least, and returns their
// addresses in that order. They are one process, which is pinned to cpus (a list as taskset
// takes it) unless that is empty, and ends with stop or with this process. In a test binary
// they run in this process.
func Start(ctx context.Context, site work.Site, cpus string) (addrs []string, stop func(), err error) {
	count := max(len(site.Weights), 1)
	if testing.Testing() {
		return inProcess(count, site.Upstream, site.Body)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	args := []string{self, "backend", "--count", strconv.Itoa(count), "--body", strconv.Itoa(site.Body), "--speaks", string(site.Upstream)}
	if cpus != "" {
		args = append([]string{"taskset", "-c", cpus}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		life.Close() // which ends it
		cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("the backends did not start: %w", err)
	}
	return strings.Fields(line), stop, nil
}

// Main is the command that Start starts: it prints the addresses, and serves until its
// standard input ends.
func Main(args []string) error {
	flags := pflag.NewFlagSet("backend", pflag.ContinueOnError)
	count := flags.Int("count", 1, "backends")
	body := flags.Int("body", 1024, "bytes of an answer's body")
	speaks := flags.String("speaks", "", "grpc, tcp, or empty for HTTP/1.1")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	l, addrs, err := listen(*count, work.Upstream(*speaks), *body)
	if err != nil {
		return err
	}
	if err := l.until(0); err != nil {
		return err
	}
	fmt.Println(strings.Join(addrs, " "))
	return l.run(true)
}

// inProcess serves until stop.
func inProcess(count int, speaks work.Upstream, body int) ([]string, func(), error) {
	l, addrs, err := listen(count, speaks, body)
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if err := l.until(int(r.Fd())); err != nil {
		return nil, nil, err
	}
	ended := make(chan error)
	go func() { ended <- l.run(false) }()
	return addrs, func() {
		w.Close()
		<-ended
		r.Close()
	}, nil
}

// listen opens the sockets of backends.
func listen(count int, speaks work.Upstream, body int) (*loop, []string, error) {
	var greet func(backend int) func(*loop, *conn) handler
	switch speaks {
	case work.UpstreamHTTP1:
		greet = newHTTP1(body)
	case work.UpstreamGRPC:
		greet = newGRPC(body)
	case work.UpstreamTCP:
		greet = func(int) func(*loop, *conn) handler { return func(*loop, *conn) handler { return echoBytes } }
	default:
		return nil, nil, fmt.Errorf("no backend speaks %q", speaks)
	}
	l, err := newLoop()
	if err != nil {
		return nil, nil, err
	}
	var addrs []string
	for i := range count {
		fd, addr, err := socket(syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		if err != nil {
			return nil, nil, err
		}
		if err := l.accept(fd, greet(i)); err != nil {
			return nil, nil, err
		}
		addrs = append(addrs, addr)
	}
	return l, addrs, nil
}

// socket listens at an address, at a free port where that has none.
func socket(at syscall.SockaddrInet4) (fd int, addr string, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, "", err
	}
	if err := syscall.Bind(fd, &at); err != nil {
		return 0, "", err
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		return 0, "", err
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, "", err
	}
	in4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		return 0, "", errors.New("a socket of IPv4 has another address")
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String(), nil
}

// echoBytes returns what comes.
func echoBytes(l *loop, c *conn, in []byte) (int, error) {
	return len(in), c.write(in)
}
