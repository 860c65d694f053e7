package browser

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin/ui"
)

// TestOpenFailureStays: what a person reads does not go because newer failures come.
func TestOpenFailureStays(t *testing.T) {
	prepare(t)
	p := newFake()
	var newest atomic.Int64
	newest.Store(30)
	began := time.Now()
	p.o.Failures = func() []ui.Failure {
		var list []ui.Failure
		for i := newest.Load(); i > newest.Load()-30; i-- {
			list = append(list, ui.Failure{
				Sequence: uint64(i), Time: began.Add(time.Duration(i) * time.Millisecond), Method: "GET", Scheme: "http", Host: "shop",
				Path: fmt.Sprintf("/%d", i), Status: 404, Details: "route_not_found",
			})
		}
		return list
	}
	tab := open(t, "http://"+p.listen(t, "127.0.0.1:0")+"/ui/", 1200, 900, "dark")
	shown := func(n int) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#failures-list .failure")].find((b) => b.textContent.includes("shop/%d"))`, n)
	}
	until(t, tab, shown(30))
	ask[any](t, tab, shown(30)+`.click()`)
	newest.Store(100)
	until(t, tab, shown(100))
	if !ask[bool](t, tab, `Boolean(`+shown(30)+`) && !`+shown(30)+`.nextElementSibling.hidden && !`+shown(29)) {
		t.Error("the open failure is gone, or closed, or another one stayed")
	}
	ask[any](t, tab, shown(30)+`.click()`)
	until(t, tab, `!`+shown(30))
}
