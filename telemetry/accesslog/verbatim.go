package accesslog

import (
	"encoding/binary"
	"slices"
)

// verbatim holds the bytes that a log line may carry as they are: visible ASCII
// without the quote and the backslash, by which every other byte is escaped.
var verbatim = func() (set [256]bool) {
	for c := 0x21; c < 0x7f; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// A word is eight bytes of a value: most of what is asked about is harmless, and found to be
// so, and copied, in words.
const wordSize = 8

// everyByte times a byte has that byte eight times.
const everyByte = 0x0101010101010101

// leastBytes are the least ones that are harmless, for oddBytes: a space is where it stands in
// quotes.
func leastBytes(quoted bool) uint64 {
	if quoted {
		return everyByte * ' '
	}
	return everyByte * (' ' + 1)
}

// oddBytes has the highest bit of some byte set where a byte of w may not stand in a log line as
// it is: one above 0x7e, below the least one, a quote or a backslash. It may err above the first
// such.
func oddBytes(w, least uint64) uint64 {
	return w | (w - least) | (w + everyByte) | zeroByte(w^everyByte*'"') | zeroByte(w^everyByte*'\\')
}

// zeroByte has the highest bit of some byte set where a byte of w is zero; above the first such
// it may err.
func zeroByte(w uint64) uint64 { return (w - everyByte) &^ w }

// highBits are those of oddBytes that count.
const highBits = everyByte * 0x80

// isVerbatim says whether all of a value may stand in a log line as it is.
func isVerbatim(v []byte, quoted bool) bool {
	if len(v) > maxValue {
		return false
	}
	least, odd := leastBytes(quoted), uint64(0)
	for ; len(v) >= wordSize; v = v[wordSize:] {
		odd |= oddBytes(binary.LittleEndian.Uint64(v), least)
	}
	for _, c := range v {
		if !verbatim[c] && (c != ' ' || !quoted) {
			return false
		}
	}
	return odd&highBits == 0
}

// appendVerbatim appends a value that may stand in a log line as it is; ok is false, and nothing
// appended, where it may not.
func appendVerbatim(dst []byte, v string, quoted bool) (line []byte, ok bool) {
	n, end, least := len(dst), len(dst)+len(v), leastBytes(quoted)
	if len(v) > maxValue {
		return dst, false
	}
	dst = slices.Grow(dst, len(v))
	to := dst[n:end]
	var odd uint64
	switch {
	case len(v) >= wordSize:
		// The last word begins within the one before it where the value is not made of whole ones.
		last := word(v[len(v)-wordSize:])
		binary.LittleEndian.PutUint64(to[len(to)-wordSize:], last)
		odd = oddBytes(last, least)
		for len(v) > wordSize && len(to) > wordSize {
			w := word(v)
			binary.LittleEndian.PutUint64(to, w)
			odd |= oddBytes(w, least)
			v, to = v[wordSize:], to[wordSize:]
		}
	case len(v) >= wordSize/2:
		first, last := halfWord(v), halfWord(v[len(v)-wordSize/2:])
		binary.LittleEndian.PutUint32(to, first)
		binary.LittleEndian.PutUint32(to[len(to)-wordSize/2:], last)
		odd = oddBytes(uint64(first)|uint64(last)<<32, least)
	default:
		for i := range to {
			to[i] = v[i]
			odd |= oddBytes(everyByte*uint64(v[i]), least)
		}
	}
	if odd&highBits != 0 {
		return dst, false
	}
	return dst[:end], true
}

// word returns the first eight bytes of a text, the first one lowest.
func word(s string) uint64 { return uint64(halfWord(s)) | uint64(halfWord(s[wordSize/2:]))<<32 }

// halfWord returns the first four bytes of a text, the first one lowest.
func halfWord(s string) uint32 {
	_ = s[wordSize/2-1]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
