package proxy

import (
	"encoding/hex"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// Writes tells whether the upstream is told of the trace by headers of ours.
func (t *Trace) Writes() bool { return t.Tracing != nil && (t.W3C || t.B3) }

// Remove takes out the headers that ours stand in for. It changes headers in place.
func (t *Trace) Remove(headers []router.Header) []router.Header {
	kept := headers[:0]
	for _, h := range headers {
		if !t.replaces(h.Name) {
			kept = append(kept, h)
		}
	}
	return kept
}

func (t *Trace) replaces(name string) bool {
	switch {
	case name == "" || name[0] != 't' && name[0] != 'b' && name[0] != 'x':
		return false
	case t.W3C && name == "traceparent":
		return true
	case t.W3C && !t.KeepState && name == "tracestate":
		return true
	}
	return t.B3 && (name == "b3" || strings.HasPrefix(name, "x-b3-"))
}

// Append appends the headers that tell an upstream of the trace, with span as its parent. Their
// values are appended to scratch, which must not be written to below its length.
//
// They are those of W3C's Trace Context (section 3.2) and of openzipkin/b3-propagation, which
// for debug leaves x-b3-sampled out: it says so already.
func (t *Trace) Append(headers []router.Header, scratch []byte, span [8]byte) ([]router.Header, []byte) {
	kept := func(from int) string { return stringOf(scratch[from:]) }
	if t.W3C {
		at := len(scratch)
		scratch = append(scratch, "00-"...)
		scratch = hex.AppendEncode(scratch, t.ID[:])
		scratch = append(scratch, '-')
		scratch = hex.AppendEncode(scratch, span[:])
		scratch = append(scratch, "-00"...)
		if t.Sampled {
			scratch[len(scratch)-1] = '1'
		}
		headers = append(headers, router.Header{Name: "traceparent", Value: kept(at)})
	}
	if !t.B3 {
		return headers, scratch
	}
	// What B3 tells in one header or in several: "ID-SPAN-STATE-PARENT".
	at := len(scratch)
	scratch = hex.AppendEncode(scratch, t.ID[:])
	spanAt := len(scratch) + 1
	scratch = append(scratch, '-')
	scratch = hex.AppendEncode(scratch, span[:])
	stateAt := len(scratch) + 1
	scratch = append(scratch, '-', t.state())
	parentAt := len(scratch) + 1
	scratch = append(scratch, '-')
	scratch = hex.AppendEncode(scratch, t.Span[:])
	if t.B3Single {
		return append(headers, router.Header{Name: "b3", Value: kept(at)}), scratch
	}
	headers = append(headers,
		router.Header{Name: "x-b3-traceid", Value: stringOf(scratch[at : spanAt-1])},
		router.Header{Name: "x-b3-spanid", Value: stringOf(scratch[spanAt : stateAt-1])},
		router.Header{Name: "x-b3-parentspanid", Value: kept(parentAt)})
	if t.Debug {
		return append(headers, router.Header{Name: "x-b3-flags", Value: "1"}), scratch
	}
	return append(headers, router.Header{Name: "x-b3-sampled", Value: stringOf(scratch[stateAt : parentAt-1])}), scratch
}

// state is the sampling state as B3 has it.
func (t *Trace) state() byte {
	switch {
	case t.Debug:
		return 'd'
	case t.Sampled:
		return '1'
	}
	return '0'
}
