package metrics

import (
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sluicegate/sluice/proxy"
)

// valueOf returns a label's value, and whether there is one.
func valueOf(m *dto.Metric, name string) (string, bool) {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue(), true
		}
	}
	return "", false
}

// total sums a counter's series.
func total(list []*dto.Metric) (n float64) {
	for _, m := range list {
		n += m.GetCounter().GetValue()
	}
	return n
}

func TestGRPCMessages(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange()
	ex.GRPC, ex.GRPCStatus, ex.MessagesReceived, ex.MessagesSent = true, "0", 3, 5
	m.Complete(0, ex)
	m.Complete(0, exchange())
	for name, want := range map[string]float64{"istio_request_messages_total": 3, "istio_response_messages_total": 5} {
		list := gather(t, m, name)
		if len(list) != 1 || total(list) != want || len(list[0].Label) != int(labelCount)-3 {
			t.Errorf("%s: %v", name, list)
		}
		for _, without := range []string{"response_code", "grpc_response_status", "response_flags"} {
			if v, ok := valueOf(list[0], without); ok {
				t.Errorf("%s has %s %q", name, without, v)
			}
		}
	}
}

// TestStreams: connections are counted when they open, bytes while they last.
func TestStreams(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange()
	st := &proxy.Stream{Connection: ex.Connection, Target: ex.Cluster, Endpoint: ex.Endpoint, Connected: 1}
	m.StreamOpened(0, st)
	expect := func(opened, closed, received, sent float64) {
		t.Helper()
		for name, want := range map[string]float64{
			"istio_tcp_connections_opened_total": opened, "istio_tcp_connections_closed_total": closed,
			"istio_tcp_received_bytes_total": received, "istio_tcp_sent_bytes_total": sent,
		} {
			if got := total(gather(t, m, name)); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	expect(1, 0, 0, 0)
	m.StreamMoved(0, st, 10, 200)
	expect(1, 0, 10, 200)
	m.StreamMoved(0, st, 1, 2)
	m.StreamClosed(0, st)
	expect(1, 1, 11, 202)
	m.StreamClosed(0, &proxy.Stream{Connection: ex.Connection, Target: ex.Cluster, Flags: proxy.FlagUpstreamConnectFailure})
	expect(2, 2, 11, 202)
	labels := gather(t, m, "istio_tcp_connections_opened_total")[0].Label
	if len(labels) != int(labelCount)-2 {
		t.Errorf("%d labels", len(labels))
	}
}
