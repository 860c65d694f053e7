package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

func headers(list string) (all []router.Header) {
	for _, h := range strings.Fields(list) {
		name, value, _ := strings.Cut(h, "=")
		all = append(all, router.Header{Name: name, Value: value})
	}
	return all
}

const (
	traceID = "0102030405060708090a0b0c0d0e0f10"
	spanID  = "1111111111111111"
	ownSpan = "2222222222222222"
	// carried are a caller's headers.
	carried = "traceparent=old tracestate=a=b b3=old x-b3-traceid=old x-b3-sampled=old x-other=kept tea=kept"
)

func TestTraceHeaders(t *testing.T) {
	tracing := &router.Tracing{}
	multi := "x-b3-traceid=" + traceID + " x-b3-spanid=" + spanID + " x-b3-parentspanid=" + ownSpan
	for name, test := range map[string]struct {
		trace      Trace
		kept, ours string
	}{
		"none":           {Trace{W3C: true, B3: true}, carried, ""},
		"nothing to say": {Trace{Tracing: tracing}, carried, ""},
		"W3C":            {Trace{Tracing: tracing, W3C: true}, "b3=old x-b3-traceid=old x-b3-sampled=old x-other=kept tea=kept", "traceparent=00-" + traceID + "-" + spanID + "-00"},
		"W3C, sampled":   {Trace{Tracing: tracing, W3C: true, KeepState: true, Sampled: true}, "tracestate=a=b b3=old x-b3-traceid=old x-b3-sampled=old x-other=kept tea=kept", "traceparent=00-" + traceID + "-" + spanID + "-01"},
		"B3":             {Trace{Tracing: tracing, B3: true}, "traceparent=old tracestate=a=b x-other=kept tea=kept", multi + " x-b3-sampled=0"},
		"B3, sampled":    {Trace{Tracing: tracing, B3: true, Sampled: true}, "traceparent=old tracestate=a=b x-other=kept tea=kept", multi + " x-b3-sampled=1"},
		"B3, debug":      {Trace{Tracing: tracing, B3: true, Sampled: true, Debug: true}, "traceparent=old tracestate=a=b x-other=kept tea=kept", multi + " x-b3-flags=1"},
		"b3":             {Trace{Tracing: tracing, B3: true, B3Single: true}, "traceparent=old tracestate=a=b x-other=kept tea=kept", "b3=" + traceID + "-" + spanID + "-0-" + ownSpan},
		"b3, debug":      {Trace{Tracing: tracing, B3: true, B3Single: true, Sampled: true, Debug: true}, "traceparent=old tracestate=a=b x-other=kept tea=kept", "b3=" + traceID + "-" + spanID + "-d-" + ownSpan},
		"both":           {Trace{Tracing: tracing, W3C: true, B3: true, B3Single: true}, "x-other=kept tea=kept", "traceparent=00-" + traceID + "-" + spanID + "-00 b3=" + traceID + "-" + spanID + "-0-" + ownSpan},
	} {
		tr := test.trace
		for i := range tr.ID {
			tr.ID[i] = byte(i + 1)
		}
		var span [8]byte
		for i := range span {
			span[i], tr.Span[i] = 0x11, 0x22
		}
		if tr.Writes() != (test.ours != "") {
			t.Errorf("%s: writes %t", name, tr.Writes())
			continue
		}
		if !tr.Writes() {
			continue
		}
		kept := tr.Remove(headers(carried))
		if got, want := fmt.Sprint(kept), fmt.Sprint(headers(test.kept)); got != want {
			t.Errorf("%s: kept %s\nwant %s", name, got, want)
		}
		got, scratch := tr.Append(nil, []byte("before"), span)
		if want := fmt.Sprint(headers(test.ours)); fmt.Sprint(got) != want || !strings.HasPrefix(string(scratch), "before") {
			t.Errorf("%s: wrote %s\nwant  %s", name, got, want)
		}
		if left := tr.Remove(got); len(left) > 0 {
			t.Errorf("%s: of ours is left %s", name, left)
		}
		room, list := make([]byte, 0, 512), make([]router.Header, 0, 16)
		if n := testing.AllocsPerRun(100, func() { tr.Append(list, room, span) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
