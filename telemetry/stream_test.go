package telemetry

import (
	"testing"

	"github.com/sluicegate/sluice/proxy"
)

// TestStreams: of connections that carry bytes, what was opened is closed in the end, one that
// came to no endpoint too; else there would seem to be ever more of them open.
func TestStreams(t *testing.T) {
	t.Parallel()
	tel, err := New(Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	st := carried()
	st.Connected = st.Start + 1
	tel.OpenStream(st)
	tel.StreamMoved(st, 12, 5183)
	tel.CompleteStream(st)
	refused := carried()
	refused.Flags = proxy.FlagUpstreamConnectFailure
	tel.CompleteStream(refused)
	expectSums(t, scrape(t, tel), map[string]float64{
		"istio_tcp_connections_opened_total": 2, "istio_tcp_connections_closed_total": 2,
		"istio_tcp_received_bytes_total": 12, "istio_tcp_sent_bytes_total": 5183,
	})
}
