package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// tests leave a goroutine behind them, which ends a while later.
type tests struct{ while time.Duration }

func (t tests) Run() int {
	go time.Sleep(t.while)
	return 0
}

// What is just ending is waited for.
func TestWaits(t *testing.T) {
	if code := (patient{tests{time.Second}}).Run(); code != 0 {
		t.Errorf("code %d", code)
	}
	if err := goleak.Find(); err != nil {
		t.Error(err)
	}
}
