package trace

// context is what a caller's headers say of the trace that a request belongs to.
type context struct {
	id   [16]byte
	span [8]byte
	// known: there is a trace, and id and span are valid.
	known bool
	// decided: the caller has settled whether spans are recorded, as sampled says. debug is
	// B3's flag, with which sampled is true.
	decided, sampled, debug bool
}

// parseTraceparent reads W3C's traceparent (Trace Context, a W3C Recommendation, section 3.2):
//
//	version "-" trace-id "-" parent-id "-" trace-flags
//
// in lower-case hexadecimal. Of a version newer than 00, what is known is read and more may
// follow, after a dash.
func parseTraceparent(v string) (c context, ok bool) {
	const size = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(v) < size || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return context{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], v[:2]) || version[0] == 0xff {
		return context{}, false
	}
	if len(v) > size && (version[0] == 0 || v[size] != '-') {
		return context{}, false
	}
	if !unhex(c.id[:], v[3:35]) || !unhex(c.span[:], v[36:52]) || !unhex(flags[:], v[53:55]) {
		return context{}, false
	}
	if c.id == ([16]byte{}) || c.span == ([8]byte{}) {
		return context{}, false
	}
	c.known, c.decided, c.sampled = true, true, flags[0]&1 != 0
	return c, true
}

// unhex decodes lower-case hexadecimal digits, of which there are two for each byte of dst.
func unhex(dst []byte, s string) bool {
	bad := byte(0)
	for i := range dst {
		hi, lo := nibbles[s[2*i]], nibbles[s[2*i+1]]
		bad |= hi | lo
		dst[i] = hi<<4 | lo&0x0f
	}
	return bad < 0x10
}

// nibbles has each lower-case hexadecimal digit's value, and 0x10 for what is none.
var nibbles = func() (table [256]byte) {
	for i := range table {
		table[i] = 0x10
	}
	for i, c := range []byte("0123456789abcdef") {
		table[c] = byte(i)
	}
	return table
}()
