package admin

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy/socket"
)

// Listen binds the admin server's address, "127.0.0.1:15000" or "unix:///path". As the
// server shows the whole configuration and has no login, an address that other
// machines can reach is refused unless remote says that this is meant.
func Listen(address string, remote bool) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		socket.RemoveStale(path)
		return net.Listen("unix", path)
	}
	if !remote && !loopback(address) {
		return nil, fmt.Errorf("admin address %s is not a loopback one: the admin server has no login and shows everything; take 127.0.0.1, or say that this is meant (--admin-remote)", address)
	}
	return net.Listen("tcp", address)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// NewServer returns an HTTP server for an admin or status handler, with limits on what
// a client may send, how long it may take and how many there may be. A response has no time limit
// of the server's because a profile takes as long as it was asked to.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	visitors := &crowd{visits: make(map[net.Conn]*visit)}
	return &http.Server{
		Handler:           h,
		ConnState:         visitors.note,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
