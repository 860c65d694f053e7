package trace

// Envoy writes into an x-request-id, in the place of a UUID's version, why a request is traced:
// so the proxies behind it know, whose headers of the trace the application has lost.
const (
	reasonAt      = 14
	reasonSampled = '9'
	reasonForced  = 'a'
	reasonClient  = 'b'
	uuidLength    = 36
)

// tracedByID tells whether a request's id says that the request is traced.
func tracedByID(id string) bool {
	if len(id) != uuidLength {
		return false
	}
	switch id[reasonAt] {
	case reasonSampled, reasonForced, reasonClient:
		return true
	}
	return false
}

// number makes of a request's id a number by which all proxies that the request meets come to
// the same decision: that of Envoy, from the first eight digits (of version 7, which begins with
// the time, from the last), and a hash of what is no UUID.
func number(id string) uint64 {
	at := 0
	if len(id) == uuidLength && id[reasonAt] == '7' {
		at = uuidLength - 8
	}
	if len(id) >= 8 {
		if n, ok := digits(id[at : at+8]); ok {
			return n
		}
	}
	// FNV-1a.
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h ^ h>>32
}

// digits reads hexadecimal digits of either case.
func digits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'F' {
			c += 'a' - 'A'
		}
		v := nibbles[c]
		if v > 0x0f {
			return 0, false
		}
		n = n<<4 | uint64(v)
	}
	return n, true
}
