package expression

import (
	"math"
	"time"
)

type negation struct{ a node }

func (n *negation) eval(m *machine) value {
	switch a := n.a.eval(m); {
	case a.kind == kindInt && a.n != math.MinInt64:
		return intValue(-a.n)
	case a.kind == kindDouble:
		return doubleValue(-a.double())
	}
	return failed
}

// arithmeticType returns the type of "a + b" and so on; ok is false where it is not defined.
func arithmeticType(name string, a, b typ) (t typ, ok bool) {
	moment, span := typ{kind: kindTime}, typ{kind: kindDuration}
	switch {
	case a.kind == kindDyn || b.kind == kindDyn:
		return dynType, true
	case a.isNumber():
		return a, a.kind == b.kind && (name != "%" || a.kind != kindDouble)
	case name == "+" && a.kind == kindList && b.kind == kindList:
		return join(a, b), true
	case name == "+" && (a.kind == kindString || a.kind == kindBytes):
		return a, a.kind == b.kind
	case name == "-" && a.kind == kindTime && b.kind == kindTime:
		return span, true
	case (name == "+" || name == "-") && b.kind == kindDuration && (a.kind == kindTime || a.kind == kindDuration):
		return a, true
	case name == "+" && a.kind == kindDuration && b.kind == kindTime:
		return moment, true
	}
	return dynType, false
}

type arithmetic struct {
	a, b node
	name byte
}

func (n *arithmetic) eval(m *machine) value {
	a, b := n.a.eval(m), n.b.eval(m)
	switch {
	case a.kind == kindInt && b.kind == kindInt:
		return intArithmetic(n.name, a.n, b.n)
	case a.kind == kindUint && b.kind == kindUint:
		return uintArithmetic(n.name, a.uint(), b.uint())
	case a.kind == kindDouble && b.kind == kindDouble:
		return doubleArithmetic(n.name, a.double(), b.double())
	case n.name == '+' && a.kind == b.kind && (a.kind == kindString || a.kind == kindBytes):
		if !m.spend(len(a.s) + len(b.s)) {
			return failed
		}
		return value{kind: a.kind, s: m.join(a.s, b.s)}
	case n.name == '+' && a.kind == kindList && b.kind == kindList:
		if !m.spend((len(a.list) + len(b.list)) * elementWork) {
			return failed
		}
		at := len(m.list)
		m.list = append(append(m.list, a.list...), b.list...)
		return value{kind: kindList, list: m.list[at:len(m.list):len(m.list)]}
	}
	return timeArithmetic(n.name, a, b)
}

func intArithmetic(name byte, a, b int64) value {
	var n int64
	switch name {
	case '+':
		if n = a + b; (n > a) != (b > 0) {
			return failed
		}
	case '-':
		if n = a - b; (n < a) != (b > 0) {
			return failed
		}
	case '*':
		if a != 0 && b != 0 {
			if n = a * b; n/b != a || a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64 {
				return failed
			}
		}
	default:
		if b == 0 || a == math.MinInt64 && b == -1 {
			return failed
		}
		if n = a / b; name == '%' {
			n = a % b
		}
	}
	return intValue(n)
}

func uintArithmetic(name byte, a, b uint64) value {
	var n uint64
	switch name {
	case '+':
		if n = a + b; n < a {
			return failed
		}
	case '-':
		if n = a - b; b > a {
			return failed
		}
	case '*':
		if n = a * b; b != 0 && n/b != a {
			return failed
		}
	default:
		if b == 0 {
			return failed
		}
		if n = a / b; name == '%' {
			n = a % b
		}
	}
	return uintValue(n)
}

func doubleArithmetic(name byte, a, b float64) value {
	switch name {
	case '+':
		return doubleValue(a + b)
	case '-':
		return doubleValue(a - b)
	case '*':
		return doubleValue(a * b)
	case '/':
		return doubleValue(a / b)
	}
	return failed
}

// timeArithmetic adds and subtracts moments and durations.
func timeArithmetic(name byte, a, b value) value {
	switch {
	case name != '+' && name != '-':
	case a.kind == kindDuration && b.kind == kindDuration:
		if v := intArithmetic(name, a.n, b.n); v.kind == kindInt {
			return durationValue(time.Duration(v.n))
		}
	case a.kind == kindTime && b.kind == kindDuration:
		d := time.Duration(b.n)
		if name == '-' {
			if d == math.MinInt64 {
				return failed
			}
			d = -d
		}
		return timeValue(a.moment().Add(d))
	case name == '+' && a.kind == kindDuration && b.kind == kindTime:
		return timeArithmetic(name, b, a)
	case name == '-' && a.kind == kindTime && b.kind == kindTime:
		d := a.moment().Sub(b.moment())
		if d == math.MaxInt64 || d == math.MinInt64 {
			return failed
		}
		return durationValue(d)
	}
	return failed
}
