package accesslog

import "unicode/utf8"

// maxValue bounds what a client's value may take of a log line, in bytes before
// escaping. What is cut off is marked by "...".
const maxValue = 4096

const hexDigits = "0123456789ABCDEF"

// escape escapes what stands in line from at on, so that it can neither end its line nor its
// field, nor send a terminal a control sequence: what is not visible ASCII, quotes and
// backslashes become \xHH. Spaces are kept only inside quotes.
func escape(line []byte, at int, quoted bool) []byte {
	if isVerbatim(line[at:], quoted) {
		return line
	}
	end := len(line)
	if end-at > maxValue {
		end = at + maxValue
	}
	i := at
	for i < end && (verbatim[line[i]] || line[i] == ' ' && quoted) {
		i++
	}
	cut := end < len(line)
	line = line[:end]
	// The escaped form is made behind the value, and then moved to its place.
	for j := i; j < end; j++ {
		if c := line[j]; verbatim[c] || c == ' ' && quoted {
			line = append(line, c)
		} else {
			line = append(line, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	if cut {
		line = append(line, "..."...)
	}
	return line[:i+copy(line[i:], line[end:])]
}

// escapeJSON makes what stands in line from at on the inside of a JSON string, of visible
// ASCII: what a terminal could take for a control sequence, or show in another place, is
// escaped too. What is not UTF-8 becomes U+FFFD.
func escapeJSON(line []byte, at int) []byte {
	if isVerbatim(line[at:], true) {
		return line
	}
	end := len(line)
	if end-at > maxValue {
		end = at + maxValue
		for end > at+maxValue-utf8.UTFMax && !utf8.RuneStart(line[end]) {
			end--
		}
	}
	i := at
	for i < end && (verbatim[line[i]] || line[i] == ' ') {
		i++
	}
	cut := end < len(line)
	line = line[:end]
	for j := i; j < end; {
		c := line[j]
		switch {
		case verbatim[c] || c == ' ':
			line = append(line, c)
			j++
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
			j++
		default:
			r, n := utf8.DecodeRune(line[j:end])
			line = appendUnicode(line, r)
			j += n
		}
	}
	if cut {
		line = append(line, "..."...)
	}
	return line[:i+copy(line[i:], line[end:])]
}

// appendUnicode appends \uHHHH, twice for what lies beyond the basic plane.
func appendUnicode(dst []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		dst = appendUnicode(dst, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
