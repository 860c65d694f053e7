package role

import (
	"slices"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// served is the configuration that the process serves.
type served struct {
	table   *router.Table // nil before the first
	updated time.Time
	// conflicts are what of the listeners' sockets cannot be, by their addresses alone.
	conflicts []config.Condition
}

// apply puts a change of the configuration in force and tells of it.
func (p *process) apply(d config.Delta) {
	p.pipeline.Apply(d)
	s := p.pipeline.Status()
	p.telemetry.ConfigUpdated(telemetry.ConfigUpdate{
		Generation: s.Generation,
		Objects:    s.Objects,
		Failures:   s.Failures,
		Duration:   s.LastDuration,
		Seen:       d.Seen,
	})
	p.changed()
	p.release.after()
}

// publish serves a table. Sockets that go stop accepting before it is in force, those
// that come open after it, so that no connection meets a table without its listener. The
// process is ready no sooner than its first table's sockets are open.
func (p *process) publish(table *router.Table) {
	binds, conflicts := p.o.Binds(table.Listeners())
	for _, c := range conflicts {
		if !slices.Contains(p.served.Load().conflicts, c) {
			p.o.Logger.Error(c.String(), "reason", string(c.Reason))
		}
	}
	p.certificates.Update(table.Spec())
	if p.o.TLS.Issuer != nil {
		p.o.TLS.Issuer.Allow(issuedHosts(table.Spec()))
	}
	p.listeners.release(binds)
	p.telemetry.Apply(table.Spec())
	p.engine.Capture(p.telemetry.Captured())
	p.engine.Publish(table)
	p.tables.Add(1)
	p.telemetry.Recent().Publish(table)
	p.listeners.acquire(binds)
	p.served.Store(&served{table: table, updated: time.Now(), conflicts: conflicts})
}

// table returns the one in force, nil before the first.
func (p *process) table() *router.Table { return p.served.Load().table }

// config returns what is in force, with the conditions of objects and of sockets.
func (p *process) config() admin.Config {
	s := p.served.Load()
	c := admin.Config{
		Updated:    s.updated,
		Conditions: slices.Concat(p.pipeline.Conditions(), s.conflicts, p.listeners.conditions(), p.certificateConditions()),
	}
	if s.table != nil {
		c.Generation, c.Spec = s.table.Generation(), s.table.Spec()
	}
	return c
}
