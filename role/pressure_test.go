package role

import (
	"log/slog"
	"testing"

	"github.com/sluicegate/sluice/proxy"
)

// Pressure follows memory in use, after what can be given back was given back.
func TestPressure(t *testing.T) {
	t.Parallel()
	var used, limit, relief uint64
	reliefs := 0
	p := newPressure(slog.New(slog.DiscardHandler))
	p.used, p.limit = func() uint64 { return used }, func() uint64 { return limit }
	p.relief = func() { reliefs++; used -= relief }
	for _, test := range []struct {
		used, limit, relief uint64
		want                proxy.Pressure
		reliefs             int
	}{
		{500, 0, 0, proxy.PressureNone, 0},
		{900, 1000, 0, proxy.PressureNone, 0},
		{950, 1000, 0, proxy.PressureHigh, 1},
		{980, 1000, 0, proxy.PressureExtreme, 1},
		{990, 1000, 30, proxy.PressureHigh, 1},
		{2000, 1000, 1500, proxy.PressureNone, 1},
		{100, 1000, 0, proxy.PressureNone, 0},
	} {
		used, limit, relief, reliefs = test.used, test.limit, test.relief, 0
		if p.look(); p.now() != test.want || reliefs != test.reliefs {
			t.Errorf("%d of %d, %d of it to give back: pressure %d, relieved %d times; want %d, %d",
				test.used, test.limit, test.relief, p.now(), reliefs, test.want, test.reliefs)
		}
	}
}

// What the process holds is more than nothing, and no more than the machine has.
func TestMemoryInUse(t *testing.T) {
	t.Parallel()
	if n := memoryInUse(); n < 1<<20 || n > 1<<40 {
		t.Errorf("%d bytes", n)
	}
}
