package role

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// draining is why a process is not ready that is about to end. The admin server tells it from
// one that begins (admin.Draining).
type draining struct{}

// Error says so.
func (draining) Error() string { return "draining: the process is about to end" }

// Draining marks it.
func (draining) Draining() {}

// drain says that the proxy is not ready any more, stops accepting, and lets what runs finish.
// Patiently, it goes on accepting for the time that load balancers have to notice. It does so
// once: whoever comes later waits for it.
func (p *process) drain(patiently bool) {
	p.drained.Do(func() {
		p.draining.Store(true)
		p.changed()
		if patiently {
			p.pause()
		}
		began := time.Now()
		p.o.Logger.Info("draining", "connections", p.connections(), "at_most", p.o.Drain)
		ctx, cancel := context.WithTimeout(context.Background(), p.o.Drain)
		defer cancel()
		if err := p.listeners.drain(ctx); err != nil {
			p.o.Logger.Warn("requests were cut: they took longer than the drain time", "after", p.o.Drain)
		}
		p.o.Logger.Info("drained", "duration", time.Since(began).Round(time.Millisecond))
	})
}

// failHealth makes the proxy say that it is not ready, or takes that back.
func (p *process) failHealth(fail bool) {
	p.unhealthy.Store(fail)
	p.o.Logger.Info("health is set by the admin server", "fail", fail)
	p.changed()
}

// profiles tells whether profiles may be read: on this machine only, unless it is meant.
func (p *process) profiles() bool {
	if p.o.AdminProfiles || strings.HasPrefix(p.o.Admin, unixScheme) {
		return true
	}
	host, _, err := net.SplitHostPort(p.o.Admin)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
