package trace

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Begin settles the exchange's part in a trace: whose it is, whether spans are recorded, and by
// which headers the upstream is told. It is forward.Options.Trace: called once the request is
// cleaned of what its caller may not say, and has its id. It changes nothing but ex.Trace.
//
// The caller's word is that of traceparent or of B3's headers, and where both are valid, of the
// kind that the policy writes. It is followed in whether to record. Where the caller has not
// decided: x-envoy-force-trace and x-client-trace-id say yes, and so does a request id in which
// Envoy noted it; else the policy's share of the requests is taken.
func (t *Tracer) Begin(ex *proxy.Exchange) {
	policies := t.policies.Load()
	if policies == nil {
		return
	}
	if p := policies.of(ex); p != nil {
		t.begin(ex, p)
	}
}

func (t *Tracer) begin(ex *proxy.Exchange, p *policy) {
	tr := &ex.Trace
	tr.Tracing = p.tracing
	var c carried
	c.read(ex.Request.Headers)
	w3c, b3 := c.w3c(), c.b3()
	from := &w3c
	switch {
	case p.tracing.B3 && !p.tracing.W3C && (b3.known || b3.decided && !w3c.known):
		from = &b3
	case !w3c.known && (b3.known || b3.decided):
		from = &b3
	}
	if from.known {
		tr.ID, tr.Parent = from.id, from.span
	} else {
		tr.ID = t.newTraceID()
	}
	tr.Span = t.newSpanID()
	tr.Debug = from.debug
	if tr.Sampled = from.sampled; !from.decided {
		tr.Sampled = c.forced || t.draws(ex, p)
	}
	if !p.tracing.W3C && !p.tracing.B3 {
		return // Nothing is written, and the headers pass as they are.
	}
	tr.W3C = p.tracing.W3C || c.parents > 0
	tr.B3 = p.tracing.B3 || c.usesB3()
	tr.B3Single = tr.B3 && c.singles > 0
	tr.KeepState = w3c.known && from == &w3c && c.states > 0 && validState(ex.Request.Headers)
}

// draws decides by the request's id, or by lot, whether a request is one of the policy's share.
func (t *Tracer) draws(ex *proxy.Exchange, p *policy) bool {
	if ex.RequestID == "" || p.tracing.SampleAtRandom {
		return t.random()%shareWhole < p.share
	}
	return t.trusted && tracedByID(ex.RequestID) || number(ex.RequestID)%shareWhole < p.share
}

// newTraceID makes an id that is not zero.
func (t *Tracer) newTraceID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], t.random())
	binary.BigEndian.PutUint64(id[8:], t.random())
	if id == ([16]byte{}) {
		id[15] = 1
	}
	return id
}

func (t *Tracer) newSpanID() (id [8]byte) {
	n := t.random()
	for n == 0 {
		n = t.random()
	}
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// carried is what the headers of a request say of traces.
type carried struct {
	parent, single           string
	multi                    multi
	parents, states, singles int
	multis                   int
	repeated, forced         bool
}

// read looks through the headers once.
func (c *carried) read(headers []router.Header) {
	for i := range headers {
		h := &headers[i]
		switch h.Name {
		case "traceparent":
			c.parent = h.Value
			c.parents++
		case "tracestate":
			c.states++
		case "b3":
			c.single = h.Value
			c.singles++
		case "x-b3-traceid":
			c.take(&c.multi.id, h.Value)
		case "x-b3-spanid":
			c.take(&c.multi.span, h.Value)
		case "x-b3-sampled":
			c.take(&c.multi.sampled, h.Value)
		case "x-b3-flags":
			c.take(&c.multi.flags, h.Value)
		case "x-envoy-force-trace", "x-client-trace-id":
			c.forced = true
		}
	}
}

// take notes one of the x-b3-* headers, of which there may be one each.
func (c *carried) take(field *string, value string) {
	c.repeated = c.repeated || *field != ""
	*field = value
	c.multis++
}

// usesB3 tells whether the caller speaks B3, be it well or badly.
func (c *carried) usesB3() bool { return c.singles > 0 || c.multis > 0 }

// w3c returns what traceparent says. Of several, none is believed.
func (c *carried) w3c() context {
	if c.parents != 1 {
		return context{}
	}
	from, _ := parseTraceparent(c.parent)
	return from
}

// b3 returns what B3's headers say: the single one comes before the others
// (openzipkin/b3-propagation), and of what is there twice, none is believed.
func (c *carried) b3() context {
	if c.singles == 1 {
		if from, ok := parseB3(c.single); ok {
			return from
		}
	}
	if c.multis == 0 || c.repeated {
		return context{}
	}
	from, _ := parseMulti(c.multi)
	return from
}
