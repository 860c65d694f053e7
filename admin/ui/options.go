package ui

import (
	"time"

	"github.com/sluicegate/sluice/admin"
)

const (
	// DefaultInterval is the pause between two updates of a page.
	DefaultInterval = time.Second
	// MaxListeners bounds the pages that are open at a time.
	MaxListeners = 16
	// MaxPeers bounds the proxies that are shown beside this one.
	MaxPeers = 64
)

// Options are what the page shows. The functions are called while a page is open, or a
// peer asks, from any goroutine, and what they return is not changed.
type Options struct {
	// Admin is what the admin server shows: the page is made from the same.
	Admin admin.Options
	// Name is the proxy's own, "productpage-v1"; empty for its role.
	Name string
	// Workload and App are what the proxy speaks for, as edges name it: "default/productpage-v1"
	// and "productpage".
	Workload, App string
	// Edges returns the calls that the proxy counted, by who called whom, Routes what its
	// routes took, both with the upper bounds, in milliseconds, of their histograms, which have
	// one bucket more; Failures the requests that failed of late, the newest first. nil means
	// that there is no such thing.
	Edges    func() (list []Edge, bounds []float64)
	Routes   func() (list []RouteTraffic, bounds []float64)
	Failures func() []Failure
	// Peers returns the proxies whose state the page shows too; nil for none.
	Peers func() []Peer
	// Interval is the pause between two updates; 0 means DefaultInterval.
	Interval time.Duration
}

// Peer is another proxy's admin server.
type Peer struct {
	// Name is what the page calls it; empty for what it calls itself.
	Name string
	// Address is "127.0.0.1:15005".
	Address string
}

// id is what a peer is asked for by.
func (p Peer) id() string { return p.Address }

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Name == "" {
		o.Name = o.Admin.Info.Role
	}
	return o
}
