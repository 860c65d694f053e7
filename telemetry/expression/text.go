package expression

import (
	"net/netip"
	"strconv"
	"time"
	"unsafe"
)

// join returns two strings as one, in the machine's memory.
func (m *machine) join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	at := len(m.text)
	m.text = append(append(m.text, a...), b...)
	return m.kept(at)
}

// kept returns what was appended to the machine's text since it had that length.
func (m *machine) kept(at int) string {
	b := m.text[at:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// address returns the text of an address and its port, empty where there is none.
func (m *machine) address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	at := len(m.text)
	m.text = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).AppendTo(m.text)
	return m.kept(at)
}

// appendText appends the text of a value; ok is false where it has none.
func appendText(dst []byte, v value) (text []byte, ok bool) {
	switch v.kind {
	case kindBool:
		return strconv.AppendBool(dst, v.n != 0), true
	case kindInt:
		return strconv.AppendInt(dst, v.n, 10), true
	case kindUint:
		return strconv.AppendUint(dst, v.uint(), 10), true
	case kindDouble:
		return strconv.AppendFloat(dst, v.double(), 'g', -1, 64), true
	case kindString, kindBytes:
		return append(dst, v.s...), true
	case kindTime:
		return v.moment().AppendFormat(dst, time.RFC3339Nano), true
	case kindDuration:
		return append(strconv.AppendFloat(dst, time.Duration(v.n).Seconds(), 'f', -1, 64), 's'), true
	}
	return dst, false
}
