package telemetry

import (
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

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
	if t.log == nil {
		return
	}
	token := t.shards.get()
	t.log.recordStream(token.shard, st, proxy.Wall(st.Start))
	t.shards.put(token)
}

// appendStreamLine appends the line of a connection that carried bytes, in the format of
// appendAccessLine: what belongs to requests is "-", and the response's code 0, as Envoy
// has it.
func appendStreamLine(dst []byte, st *proxy.Stream, start time.Time) []byte {
	dst = append(dst, '[')
	dst = start.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `] "- - -" 0 `...)
	dst = st.Flags.Append(dst)
	dst = append(dst, " - "...)
	dst = appendBare(dst, st.Termination)
	dst = appendQuoted(dst, st.UpstreamFailure)
	dst = strconv.AppendInt(dst, st.BytesReceived, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, st.BytesSent, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, max(0, st.End-st.Start)/int64(time.Millisecond), 10)
	dst = append(dst, ` - "-" "-" "-" "-" `...)
	dst = appendQuoted(dst, st.UpstreamHost)
	dst = appendBare(dst, st.Cluster)
	dst = appendAddress(dst, st.UpstreamLocal)
	dst = appendAddress(dst, st.Connection.Local)
	dst = appendAddress(dst, st.Connection.Remote)
	serverName := ""
	if st.Connection.TLS != nil {
		serverName = st.Connection.TLS.ServerName
	}
	dst = appendBare(dst, serverName)
	dst = appendBare(dst, st.Route)
	dst[len(dst)-1] = '\n'
	return dst
}
