package metrics

import (
	"fmt"
	"runtime"
	"testing"
)

// TestSeriesAreSmall holds what is remembered of the traffic to one workload to a budget: of its
// series, and, while there is traffic, of what is counted between two drains.
func TestSeriesAreSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const workloads = 1000
	m := newTest(t, Options{Identity: edge})
	before := heap()
	for i := range workloads {
		ex := exchange()
		host := fmt.Sprintf("reviews%d.default.svc.cluster.local", i)
		ex.Endpoint.Workload = fmt.Sprintf("default/reviews%d", i)
		ex.Cluster.Host, ex.Cluster.Name = host, "outbound|9080||"+host
		m.Complete(0, ex)
	}
	m.mu.Lock()
	m.drain()
	m.mu.Unlock()
	busy := (int(heap()) - int(before)) / workloads
	m.mu.Lock()
	for range idleDrains + 1 {
		m.drain()
	}
	m.mu.Unlock()
	idle := (int(heap()) - int(before)) / workloads
	t.Logf("%d bytes for each workload with traffic, %d without", busy, idle)
	if busy > 5000 || idle > 3200 {
		t.Errorf("that is more than 5,000, or than 3,200")
	}
	runtime.KeepAlive(m)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
