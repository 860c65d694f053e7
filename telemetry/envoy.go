package telemetry

import (
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of Envoy's that Kiali and Istio's dashboards ask a proxy for.
var (
	envoyConnectionsDesc = prometheus.NewDesc("envoy_listener_downstream_cx_active",
		"Open connections of clients, under Envoy's name.", []string{"listener_address"}, nil)
	envoyAllocatedDesc = prometheus.NewDesc("envoy_server_memory_allocated",
		"Bytes of memory in use by objects, under Envoy's name.", nil, nil)
	envoyHeapDesc = prometheus.NewDesc("envoy_server_memory_heap_size",
		"Bytes of memory that the heap has of the system, under Envoy's name.", nil, nil)
	listenersDesc = prometheus.NewDesc("sluice_listeners",
		"Sockets that the configuration asks for, by whether they could be opened.", []string{"state"}, nil)
)

// collectMemory sends what Envoy tells of its memory.
func collectMemory(ch chan<- prometheus.Metric) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	objects, unused, free := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
	gauge(ch, envoyAllocatedDesc, int(objects))
	gauge(ch, envoyHeapDesc, int(objects+unused+free))
}
