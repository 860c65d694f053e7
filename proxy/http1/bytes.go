package http1

import (
	"encoding/binary"
	"unsafe"
)

// str views bytes as a string without copying; it is valid while the buffer is.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// tokenLower maps the bytes of a token (RFC 9110 section 5.6.2) to lower case, and
// every other byte to 0.
var tokenLower = func() (t [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		t[c] = c
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c + 'a' - 'A'
	}
	return t
}()

// valueByte holds for what a field value may contain (RFC 9110 section 5.5): tab,
// visible characters, space and obs-text.
var valueByte = func() (t [256]bool) {
	for c := 0x20; c < 0x100; c++ {
		t[c] = c != 0x7f
	}
	t['\t'] = true
	return t
}()

// targetByte holds for what a request target may contain: the printable ASCII
// characters, but for '#', which no target has (RFC 9112 section 3.2) and after which
// servers disagree about what they were asked for.
var targetByte = func() (t [256]bool) {
	for c := 0x21; c < 0x7f; c++ {
		t[c] = c != '#'
	}
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// valueEnd returns the index of the first byte at or after i that a field value may
// not contain, which is the CR of a well-formed line. It looks at eight bytes at a time.
func valueEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		// A byte below 0x20, or 0x7f, sets its high bit; a false alarm (tab, or a
		// neighbour of one) only costs the look at single bytes below.
		low := (x - 0x20*ones) &^ x
		del := x ^ 0x7f*ones
		del = (del - ones) &^ del
		if (low|del)&highs != 0 {
			for end := i + 8; i < end; i++ {
				if !valueByte[b[i]] {
					return i
				}
			}
			continue
		}
		i += 8
	}
	for i < len(b) && valueByte[b[i]] {
		i++
	}
	return i
}

// equalFold compares ASCII without case; lower must be lower case.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trim removes spaces and tabs from both ends (OWS, RFC 9110 section 5.6.3).
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// nextListItem cuts the first element off a comma-separated list.
func nextListItem(list string) (item, rest string) {
	for i := 0; i < len(list); i++ {
		if list[i] == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), ""
}
