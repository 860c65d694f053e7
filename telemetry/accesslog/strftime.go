package accesslog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// timePart appends a part of a moment.
type timePart func(dst []byte, t time.Time) []byte

// layout returns the part that package time has a layout for.
func layout(l string) timePart {
	return func(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, l) }
}

// timeParts are the conversions of strftime (C++ std::put_time) by their letters.
var timeParts = map[byte]timePart{
	'Y': layout("2006"), 'y': layout("06"), 'm': layout("01"), 'd': layout("02"), 'e': layout("_2"), 'j': layout("002"),
	'H': layout("15"), 'I': layout("03"), 'M': layout("04"), 'S': layout("05"), 'p': layout("PM"),
	'a': layout("Mon"), 'A': layout("Monday"), 'b': layout("Jan"), 'h': layout("Jan"), 'B': layout("January"),
	'z': layout("-0700"), 'Z': layout("MST"),
	'F': layout("2006-01-02"), 'T': layout("15:04:05"), 'R': layout("15:04"), 'D': layout("01/02/06"), 'r': layout("03:04:05 PM"),
	'c': layout("Mon Jan _2 15:04:05 2006"), 'x': layout("01/02/06"), 'X': layout("15:04:05"),
	's': func(dst []byte, t time.Time) []byte { return strconv.AppendInt(dst, t.Unix(), 10) },
	'u': func(dst []byte, t time.Time) []byte { return append(dst, byte('1'+(t.Weekday()+6)%7)) },
	'w': func(dst []byte, t time.Time) []byte { return append(dst, byte('0'+t.Weekday())) },
	'f': fraction(9),
	'n': func(dst []byte, _ time.Time) []byte { return append(dst, '\n') },
	't': func(dst []byte, _ time.Time) []byte { return append(dst, '\t') },
	'%': func(dst []byte, _ time.Time) []byte { return append(dst, '%') },
}

// fraction returns the part that is so many digits of the fraction of a second.
func fraction(digits int) timePart {
	unit := 1
	for range 9 - digits {
		unit *= 10
	}
	return func(dst []byte, t time.Time) []byte { return appendDigits(dst, t.Nanosecond()/unit, digits) }
}

// appendDigits appends a number with leading zeros.
func appendDigits(dst []byte, n, digits int) []byte {
	for range digits {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; n > 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// secondLayout is that of a second of the clock.
const secondLayout = "2006-01-02T15:04:05."

// second is one of the clock, and its text up to the point.
type second struct {
	unix int64
	text [20]byte
}

// latest is the second that was asked for last: most lines of a busy log share one.
var latest atomic.Pointer[second]

// appendMoment appends "2006-01-02T15:04:05.000Z".
func appendMoment(dst []byte, t time.Time) []byte {
	s := latest.Load()
	if unix := t.Unix(); s == nil || s.unix != unix {
		s = &second{unix: unix}
		if at := t.UTC(); len(at.AppendFormat(s.text[:0], secondLayout)) != len(s.text) { // a year of five digits
			return at.AppendFormat(dst, secondLayout+"000Z")
		}
		latest.Store(s)
	}
	ms := t.Nanosecond() / 1e6
	n := len(dst)
	dst = slices.Grow(dst, len(s.text)+len("000Z"))[:n+len(s.text)]
	*(*[len(s.text)]byte)(dst[n:]) = s.text
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// strftime compiles a format of strftime, with Envoy's %s, %f and %1f to %9f. An empty one is
// that of appendMoment.
func strftime(format string) (timePart, error) {
	if format == "" {
		return appendMoment, nil
	}
	var parts []timePart
	for format != "" {
		literal, rest, found := strings.Cut(format, "%")
		if literal != "" {
			parts = append(parts, func(dst []byte, _ time.Time) []byte { return append(dst, literal...) })
		}
		if !found {
			break
		}
		if rest == "" {
			return nil, fmt.Errorf("a time format ends in a percent sign; %%%% is one itself")
		}
		part, n := timeParts[rest[0]], 1
		if len(rest) > 1 && rest[0] >= '1' && rest[0] <= '9' && rest[1] == 'f' {
			part, n = fraction(int(rest[0]-'0')), 2
		}
		if part == nil {
			return nil, fmt.Errorf("%%%c is no conversion of a time that is known; there are %%Y %%m %%d %%H %%M %%S %%z %%s %%3f and others of strftime", rest[0])
		}
		parts = append(parts, part)
		format = rest[n:]
	}
	return func(dst []byte, t time.Time) []byte {
		for _, p := range parts {
			dst = p(dst, t)
		}
		return dst
	}, nil
}
