package telemetry

// maxValue bounds what a client's value may take of a log line, in bytes before
// escaping. What is cut off is marked by "...".
const maxValue = 4096

// verbatim holds the bytes that a log line may carry as they are: visible ASCII
// without the quote and the backslash, by which every other byte is escaped.
var verbatim = func() (set [256]bool) {
	for c := 0x21; c < 0x7f; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// appendEscaped appends s so that it can neither end its line nor its field, nor send
// a terminal a control sequence: what is not visible ASCII, quotes and backslashes
// become \xHH. Spaces are kept only inside quotes.
func appendEscaped(dst []byte, s string, quoted bool) []byte {
	cut := len(s) > maxValue
	if cut {
		s = s[:maxValue]
	}
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if verbatim[c] || c == ' ' && quoted {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	if cut {
		dst = append(dst, "..."...)
	}
	return dst
}

const hexDigits = "0123456789ABCDEF"
