package expression

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

func toInt(_ *machine, a value) value {
	switch a.kind {
	case kindInt, kindTime, kindDuration:
		return intValue(a.n)
	case kindUint:
		if a.n >= 0 {
			return intValue(a.n)
		}
	case kindDouble:
		if f := a.double(); f > math.MinInt64 && f < math.MaxInt64 {
			return intValue(int64(f))
		}
	case kindString:
		if n, err := strconv.ParseInt(a.s, 10, 64); err == nil {
			return intValue(n)
		}
	}
	return failed
}

func toUint(_ *machine, a value) value {
	switch a.kind {
	case kindInt:
		if a.n >= 0 {
			return uintValue(uint64(a.n))
		}
	case kindUint:
		return a
	case kindDouble:
		if f := a.double(); f >= 0 && f < 1<<64 {
			return uintValue(uint64(f))
		}
	case kindString:
		if n, err := strconv.ParseUint(a.s, 10, 64); err == nil {
			return uintValue(n)
		}
	}
	return failed
}

func toDouble(_ *machine, a value) value {
	switch a.kind {
	case kindInt:
		return doubleValue(float64(a.n))
	case kindUint:
		return doubleValue(float64(a.uint()))
	case kindDouble:
		return a
	case kindString:
		if f, err := strconv.ParseFloat(a.s, 64); err == nil {
			return doubleValue(f)
		}
	}
	return failed
}

func toBool(_ *machine, a value) value {
	if a.kind == kindBool {
		return a
	}
	b, err := strconv.ParseBool(a.s)
	if err != nil {
		return failed
	}
	return boolValue(b)
}

func toString(m *machine, a value) value {
	switch a.kind {
	case kindString:
		return a
	case kindBytes:
		if !utf8.ValidString(a.s) {
			return failed
		}
		return stringValue(a.s)
	}
	at := len(m.text)
	m.text, _ = appendText(m.text, a)
	return stringValue(m.kept(at))
}

func toBytes(_ *machine, a value) value { return bytesValue(a.s) }

func toTime(_ *machine, a value) value {
	switch a.kind {
	case kindTime:
		return a
	case kindInt:
		if a.n < firstSecond || a.n > lastSecond {
			return failed
		}
		return value{kind: kindTime, n: a.n}
	}
	t, err := time.Parse(time.RFC3339, a.s)
	if err != nil {
		return failed
	}
	return timeValue(t)
}

func toDuration(_ *machine, a value) value {
	if a.kind == kindDuration {
		return a
	}
	d, err := time.ParseDuration(a.s)
	if err != nil {
		return failed
	}
	return durationValue(d)
}
