package trace

// multi holds the values of the x-b3-* headers, each empty where it is not there.
type multi struct {
	id, span, sampled, flags string
}

// parseB3 reads the one header b3 (openzipkin/b3-propagation):
//
//	{TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]]  or  {SamplingState}
//
// where the state is 0 (do not record), 1 (record) or d (record: debug). Without it, the
// decision is left to who receives it.
func parseB3(v string) (c context, ok bool) {
	if len(v) == 1 {
		return c, c.decide(v)
	}
	id := 32
	if len(v) > 16 && v[16] == '-' {
		id = 16
	}
	if len(v) < id+17 || v[id] != '-' || !c.identify(v[:id], v[id+1:id+17]) {
		return context{}, false
	}
	switch rest := v[id+17:]; {
	case rest == "":
		return c, true
	case len(rest) == 2 && rest[0] == '-':
		return c, c.decide(rest[1:])
	case len(rest) == 19 && rest[0] == '-' && rest[2] == '-':
		var parent [8]byte
		return c, c.decide(rest[1:2]) && unhex(parent[:], rest[3:])
	}
	return context{}, false
}

// parseMulti reads the x-b3-* headers. A decision holds without ids, and with ids that are not
// valid too: then it is one about the trace that begins here.
func parseMulti(m multi) (c context, ok bool) {
	switch m.sampled {
	case "":
	case "1", "true": // Which tracers older than the specification send.
		c.decided, c.sampled = true, true
	case "0", "false":
		c.decided = true
	default:
		return context{}, false
	}
	if m.flags == "1" {
		c.decided, c.sampled, c.debug = true, true, true
	}
	if len(m.id) == 16 || len(m.id) == 32 {
		if len(m.span) != 16 || !c.identify(m.id, m.span) {
			c.id, c.span, c.known = [16]byte{}, [8]byte{}, false
		}
	}
	return c, c.known || c.decided
}

// decide takes a sampling state.
func (c *context) decide(state string) bool {
	switch state {
	case "0":
		c.decided = true
	case "1":
		c.decided, c.sampled = true, true
	case "d":
		c.decided, c.sampled, c.debug = true, true, true
	default:
		return false
	}
	return true
}

// identify takes ids: a trace's of 64 bits stands in the lower half, as OpenTelemetry has it.
func (c *context) identify(id, span string) bool {
	c.known = unhex(c.id[16-len(id)/2:], id) && unhex(c.span[:], span) && c.id != [16]byte{} && c.span != [8]byte{}
	return c.known
}
