package telemetry

import "github.com/sluicegate/sluice/proxy"

// OpenStream counts a connection whose bytes begin to be carried, and StreamMoved bytes that
// were since it was last called. They keep nothing of st.
func (t *Telemetry) OpenStream(st *proxy.Stream) {
	token := t.shards.get()
	t.metrics.StreamOpened(token.shard, st)
	t.shards.put(token)
}

// StreamMoved counts bytes that came from the client, and that it was sent.
func (t *Telemetry) StreamMoved(st *proxy.Stream, received, sent int64) {
	token := t.shards.get()
	t.metrics.StreamMoved(token.shard, st, received, sent)
	t.shards.put(token)
}

// CompleteStream records a connection that carried bytes and has ended. It keeps nothing of
// st.
func (t *Telemetry) CompleteStream(st *proxy.Stream) {
	t.recent.CompleteStream(st)
	token := t.shards.get()
	t.metrics.StreamClosed(token.shard, st)
	t.logs.CompleteStream(token.shard, st)
	t.shards.put(token)
}
