package role

import (
	"context"
	"net"
	"slices"

	"github.com/sluicegate/sluice/router"
)

// dialCollector connects to a collector of spans or logs: by its cluster, where the table in
// force has that, else to its address.
func (p *process) dialCollector(ctx context.Context, to *router.OTLP) (net.Conn, error) {
	known := func(c *router.Cluster) bool { return c != nil && c.Name == to.Cluster }
	if to.Cluster != "" && slices.ContainsFunc(p.engine.Table().Clusters(), known) {
		return p.engine.Dial(ctx, to.Cluster, !to.HTTP)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to.Address)
}
