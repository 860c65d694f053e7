package trace

import (
	"strings"

	"github.com/sluicegate/sluice/router"
)

// maxStateMembers is how many list-members tracestate may have (Trace Context section 3.3.1.1).
const maxStateMembers = 32

// validState tells whether the tracestate headers, of which there may be several that count as
// one list, are as W3C's Trace Context wants them (section 3.3.1). Where not, all of them are
// to be dropped.
func validState(headers []router.Header) bool {
	var keys [maxStateMembers]string
	n := 0
	for i := range headers {
		if headers[i].Name != "tracestate" {
			continue
		}
		for rest, more := headers[i].Value, true; more; {
			var member string
			member, rest, more = strings.Cut(rest, ",")
			if member = strings.Trim(member, " \t"); member == "" {
				continue
			}
			key, value, ok := strings.Cut(member, "=")
			if !ok || !validStateKey(key) || !validStateValue(value) || n == maxStateMembers {
				return false
			}
			for _, other := range keys[:n] {
				if key == other {
					return false
				}
			}
			keys[n] = key
			n++
		}
	}
	return true
}

// validStateKey: a name that begins with a letter, or tenant@system.
func validStateKey(key string) bool {
	tenant, system, multi := strings.Cut(key, "@")
	if !multi {
		return validKeyPart(key, 256, false)
	}
	return validKeyPart(tenant, 241, true) && validKeyPart(system, 14, false)
}

func validKeyPart(s string, most int, digitFirst bool) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9' && (i > 0 || digitFirst):
		case i > 0 && (c == '_' || c == '-' || c == '*' || c == '/'):
		default:
			return false
		}
	}
	return true
}

// validStateValue: up to 256 printable characters without commas and equals signs, the last
// of them no space. The white space that may follow it has been cut off.
func validStateValue(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == ',' || c == '=' {
			return false
		}
	}
	return true
}
