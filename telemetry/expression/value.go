package expression

import (
	"math"
	"time"
)

// kind is what a value is.
type kind uint8

const (
	kindError kind = iota // the evaluation failed here
	kindNull
	kindBool
	kindInt
	kindUint
	kindDouble
	kindString
	kindBytes
	kindTime
	kindDuration
	kindList
	kindMap
	kindDyn // of types only: not known before it runs
)

// value is a value of CEL.
type value struct {
	kind kind
	// source says which of an exchange's headers a map is; those of literals have their keys
	// and values in list, in turn.
	source headerSource
	// nanos are those of a moment, beside its seconds in n.
	nanos int32
	// n is a bool (0 or 1), an int, a uint's or a double's bits, a moment's Unix seconds, or a
	// duration's nanoseconds.
	n    int64
	s    string // of strings and bytes
	list []value
}

var (
	failed    = value{}
	nullValue = value{kind: kindNull}
	trueVal   = value{kind: kindBool, n: 1}
	falseVal  = value{kind: kindBool}
)

func boolValue(b bool) value {
	if b {
		return trueVal
	}
	return falseVal
}

func intValue(n int64) value              { return value{kind: kindInt, n: n} }
func uintValue(n uint64) value            { return value{kind: kindUint, n: int64(n)} }
func doubleValue(f float64) value         { return value{kind: kindDouble, n: int64(math.Float64bits(f))} }
func stringValue(s string) value          { return value{kind: kindString, s: s} }
func bytesValue(s string) value           { return value{kind: kindBytes, s: s} }
func durationValue(d time.Duration) value { return value{kind: kindDuration, n: int64(d)} }
func (v value) double() float64           { return math.Float64frombits(uint64(v.n)) }
func (v value) uint() uint64              { return uint64(v.n) }
func (v value) moment() time.Time         { return time.Unix(v.n, int64(v.nanos)).UTC() }
func (v value) isNumber() bool {
	return v.kind == kindInt || v.kind == kindUint || v.kind == kindDouble
}
func (v value) is(want bool) bool { return v.kind == kindBool && (v.n != 0) == want }

// Moments are those of years 1 to 9999 (google.protobuf.Timestamp).
var (
	firstSecond = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// timeValue returns a moment, an error outside of the years that there are.
func timeValue(t time.Time) value {
	if s := t.Unix(); s < firstSecond || s > lastSecond {
		return failed
	}
	return value{kind: kindTime, n: t.Unix(), nanos: int32(t.Nanosecond())}
}

// equal is "==": numbers of different kinds are compared by what they amount to, other values
// of different kinds differ.
func equal(m *machine, a, b value) value {
	switch {
	case a.kind == kindError || b.kind == kindError || !m.spend(1):
		return failed
	case a.isNumber() && b.isNumber():
		order, ok := compareNumbers(a, b)
		return boolValue(ok && order == 0)
	case a.kind != b.kind:
		return falseVal
	}
	switch a.kind {
	case kindNull:
		return trueVal
	case kindString, kindBytes:
		return boolValue(a.s == b.s)
	case kindTime:
		return boolValue(a.n == b.n && a.nanos == b.nanos)
	case kindList:
		return equalLists(m, a.list, b.list)
	case kindMap:
		return equalMaps(m, a, b)
	}
	return boolValue(a.n == b.n)
}

func equalLists(m *machine, a, b []value) value {
	if len(a) != len(b) {
		return falseVal
	}
	for i := range a {
		if v := equal(m, a[i], b[i]); !v.is(true) {
			return v
		}
	}
	return trueVal
}

func equalMaps(m *machine, a, b value) value {
	if mapSize(m, a) != mapSize(m, b) {
		return falseVal
	}
	result := trueVal
	eachKey(m, a, func(key value) bool {
		result = falseVal
		if other, found := mapValue(m, b, key); found {
			own, _ := mapValue(m, a, key)
			result = equal(m, own, other)
		}
		return result.is(true)
	})
	return result
}

// compare returns the order of two values; ok is false where they have none.
func compare(a, b value) (order int, ok bool) {
	if a.isNumber() && b.isNumber() {
		return compareNumbers(a, b)
	}
	if a.kind != b.kind {
		return 0, false
	}
	switch a.kind {
	case kindBool, kindDuration:
		return compareOrdered(a.n, b.n), true
	case kindString, kindBytes:
		return compareOrdered(a.s, b.s), true
	case kindTime:
		if order := compareOrdered(a.n, b.n); order != 0 {
			return order, true
		}
		return compareOrdered(a.nanos, b.nanos), true
	}
	return 0, false
}

func compareOrdered[T int64 | uint64 | float64 | int32 | string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareNumbers compares what numbers amount to, without rounding. Nothing compares with
// what is not a number.
func compareNumbers(a, b value) (order int, ok bool) {
	switch {
	case a.kind == kindDouble && b.kind == kindDouble:
		x, y := a.double(), b.double()
		return compareOrdered(x, y), x == x && y == y
	case a.kind == kindDouble:
		order, ok = compareNumbers(b, a)
		return -order, ok
	case b.kind == kindDouble:
		return compareWithDouble(a, b.double())
	case a.kind == b.kind && a.kind == kindInt:
		return compareOrdered(a.n, b.n), true
	case a.kind == b.kind:
		return compareOrdered(a.uint(), b.uint()), true
	case a.kind == kindInt:
		if a.n < 0 {
			return -1, true
		}
		return compareOrdered(uint64(a.n), b.uint()), true
	}
	order, ok = compareNumbers(b, a)
	return -order, ok
}

// compareWithDouble compares an int or a uint with a double.
func compareWithDouble(a value, f float64) (order int, ok bool) {
	if f != f {
		return 0, false
	}
	if a.kind == kindInt {
		switch {
		case f < -(1 << 63):
			return 1, true
		case f >= 1<<63:
			return -1, true
		}
		whole := math.Trunc(f)
		if order := compareOrdered(a.n, int64(whole)); order != 0 {
			return order, true
		}
		return compareOrdered(whole, f), true
	}
	switch {
	case f < 0:
		return 1, true
	case f >= 1<<64:
		return -1, true
	}
	whole := math.Trunc(f)
	if order := compareOrdered(a.uint(), uint64(whole)); order != 0 {
		return order, true
	}
	return compareOrdered(whole, f), true
}
