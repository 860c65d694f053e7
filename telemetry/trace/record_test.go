package trace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// TestRecordSize: a record takes no more of a caller's tracestate than there is of it, in however
// many headers that comes: thousands of records may wait.
func TestRecordSize(t *testing.T) {
	t.Parallel()
	var members []string
	for i := range maxStateMembers - 2 {
		members = append(members, fmt.Sprintf("k%d=%s", i, strings.Repeat("x", 256)))
	}
	headers := []router.Header{{Name: "tracestate", Value: strings.Join(members, ",")}}
	for len(headers) < 97 {
		headers = append(headers, router.Header{Name: "tracestate"}, router.Header{Name: "user-agent", Value: "a"}, router.Header{Name: "tracestate", Value: " , "})
	}
	headers = append(headers, router.Header{Name: "tracestate", Value: "last=1"})
	if !validState(headers) {
		t.Fatal("the state is not valid")
	}
	ex := &proxy.Exchange{Request: router.Request{Headers: headers}}
	ex.Trace.KeepState = true
	var r record
	r.fill(ex, &policy{tracing: &router.Tracing{}})
	if len(r.buf) > 2*len(headers[0].Value) {
		t.Errorf("the record has %d bytes of a state of %d", len(r.buf), len(headers[0].Value))
	}
	if state := r.state.of(string(r.buf)); !strings.HasPrefix(state, members[0]+",") || !strings.HasSuffix(state, ",last=1") {
		t.Errorf("the state is %q", state)
	}
	headers[0].Value = strings.Repeat("x", maxRecord)
	r = record{}
	r.fill(ex, &policy{tracing: &router.Tracing{}})
	if state := r.state.of(string(r.buf)); strings.Contains(state, "x") || !strings.HasSuffix(state, "last=1") {
		t.Errorf("what is too long leaves %.40q", state)
	}
}
