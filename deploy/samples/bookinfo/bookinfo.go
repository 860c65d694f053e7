// Package bookinfo is the sample application that people know from Istio's
// walk-throughs, written anew: a page about a book (productpage) made from what
// three services say (details, reviews and, behind some versions of reviews,
// ratings). Paths, JSON and the end-user header are those of the original, so
// that manifests and scripts written for it work here.
//
// It owns the application and its manifests. It must not know that a proxy stands
// between its services: it calls http://reviews:9080 and is told only how to dial.
package bookinfo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Networking holds the sample's traffic manifests (networking/*.yaml).
//
//go:embed networking/*.yaml
var Networking embed.FS

// Port is the port that every service has by name, as in http://reviews:9080.
const Port = 9080

// Workload is one version of one service.
type Workload struct {
	App     string
	Version string
}

// String returns the workload's name as a Deployment would have it, "reviews-v2".
func (w Workload) String() string { return w.App + "-" + w.Version }

// Calls says whether the workload calls others.
func (w Workload) Calls() bool {
	return w.App == "productpage" || w.App == "reviews" && w.Version != "v1"
}

// Workloads returns everything that the application consists of.
func Workloads() []Workload {
	return []Workload{
		{"productpage", "v1"},
		{"details", "v1"},
		{"reviews", "v1"},
		{"reviews", "v2"},
		{"reviews", "v3"},
		{"ratings", "v1"},
	}
}

// Options says how to run the application. The zero value runs it on its own.
type Options struct {
	// Dial opens the connections for calls from one workload to an authority such
	// as "reviews:9080". It is called from many goroutines. Nil dials the
	// application's own endpoints, the versions of a service in turn.
	Dial func(ctx context.Context, from Workload, authority string) (net.Conn, error)
	// Log takes what goes wrong in the servers; nil means slog.Default.
	Log *slog.Logger
}

// Endpoint is where a workload listens.
type Endpoint struct {
	Workload Workload
	Address  netip.AddrPort
}

// App is a running application.
type App struct {
	endpoints []Endpoint
	// turns counts the direct dials to each service.
	turns   sync.Map // of *atomic.Uint32 by app
	servers sync.WaitGroup
}

// shutdownGrace bounds how long running requests may go on after the end.
const shutdownGrace = 2 * time.Second

// Start runs every workload on a free port of 127.0.0.1. All of them listen when it
// returns; they stop when ctx is done. Wait returns when they have stopped.
func Start(ctx context.Context, o Options) (*App, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &App{}
	direct := o.Dial == nil
	if direct {
		o.Dial = a.dialDirect
	}
	var listeners []net.Listener
	for _, w := range Workloads() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			for _, open := range listeners {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("bookinfo: %s: %w", w, err)
		}
		listeners = append(listeners, l)
		a.endpoints = append(a.endpoints, Endpoint{w, l.Addr().(*net.TCPAddr).AddrPort()})
	}
	for i, e := range a.endpoints {
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, authority string) (net.Conn, error) {
				return o.Dial(ctx, e.Workload, authority)
			},
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     30 * time.Second,
			// A connection kept would stay with the version that it was dialled to.
			DisableKeepAlives: direct,
		}
		handler, err := NewHandler(e.Workload, Peers{Client: &http.Client{Transport: transport}})
		if err != nil {
			return nil, err
		}
		a.servers.Go(func() {
			defer transport.CloseIdleConnections()
			if err := Serve(ctx, listeners[i], handler); err != nil {
				o.Log.Error("bookinfo service failed", "workload", e.Workload.String(), "error", err)
			}
		})
	}
	return a, nil
}

// Linger returns a context that ends some time after ctx. A pod that is about to end needs
// that: those who call it learn of its end when it does, or a moment later, and connections
// that a closed socket has not accepted are lost.
func Linger(ctx context.Context, d time.Duration) context.Context {
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(d, end) })
	return later
}

// Serve serves HTTP on l until ctx is done, and gives running requests two seconds
// to finish. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if s.Shutdown(grace) != nil {
		// Some request outlived the grace: it is cut off.
		_ = s.Close()
	}
	<-ended
	return nil
}

// Endpoints returns where each workload listens, in the order of Workloads.
func (a *App) Endpoints() []Endpoint { return a.endpoints }

// URL returns the base URL of one workload, without a trailing slash, or "" where
// there is no such workload.
func (a *App) URL(w Workload) string {
	for _, e := range a.endpoints {
		if e.Workload == w {
			return "http://" + e.Address.String()
		}
	}
	return ""
}

// Wait returns when every service has stopped, after the context given to Start is
// done.
func (a *App) Wait() { a.servers.Wait() }

// dialDirect takes the versions of a service in turn, as a cluster without a proxy
// would.
func (a *App) dialDirect(ctx context.Context, _ Workload, authority string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, err
	}
	var of []netip.AddrPort
	for _, e := range a.endpoints {
		if e.Workload.App == host {
			of = append(of, e.Address)
		}
	}
	if len(of) == 0 {
		return nil, fmt.Errorf("bookinfo: no service %q", host)
	}
	turn, _ := a.turns.LoadOrStore(host, new(atomic.Uint32))
	next := turn.(*atomic.Uint32).Add(1)
	var d net.Dialer
	return d.DialContext(ctx, "tcp", of[int(next)%len(of)].String())
}
