package forward

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// Stream says by the newest table where the bytes of a connection go: the stream route that
// takes it, nil where none does; the destination that was picked of it; and that cluster at
// work, nil where there is no such one.
func (e *Engine) Stream(info *proxy.Connection) (*router.CompiledStream, *router.CompiledDestination, *upstream.Cluster) {
	snap := e.snapshot.Load()
	chain := snap.table.NamedChain(info.Listener, info.Chain)
	if chain == nil {
		return nil, nil, nil
	}
	stream := chain.Stream(info.Local.Addr())
	if stream == nil {
		return nil, nil, nil
	}
	destination := stream.Pick(e.options.Random())
	if destination == nil {
		return stream, nil, nil
	}
	return stream, destination, snap.named(destination.Cluster)
}
