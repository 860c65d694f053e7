package config_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/config"
)

// TestTime wants a Time to be the time.Time that it was made of, wherever that was.
func TestTime(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 3600)
	for _, at := range []time.Time{
		{}, time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 9, 0, 0, 5, east), time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC),
	} {
		got := config.At(at)
		if !got.Time().Equal(at) || got.Time().IsZero() != at.IsZero() || (got == 0) != at.IsZero() {
			t.Errorf("%v became %v", at, got.Time())
		}
	}
	epoch := config.At(time.Unix(0, 0))
	if got := epoch.Time(); epoch == 0 || got.Unix() != 0 {
		t.Errorf("the beginning of 1970 became %v", got)
	}
	inOrder := []config.Time{
		0, config.At(time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)), config.At(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)), epoch,
		config.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), config.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if got := a.Compare(b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v compared to %v is %d", a.Time(), b.Time(), got)
			}
		}
	}
}

// TestObjectSize: there may be a hundred thousand objects. More than 160 bytes are rounded up to
// 176.
func TestObjectSize(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(config.Object{}); size > 160 {
		t.Errorf("an object takes %d bytes, want at most 160", size)
	}
}
