package forward

import (
	"strconv"
	"time"
)

// maxGRPCTimeout is the longest time that a caller can ask for; more means that much.
const maxGRPCTimeout = 10 * 365 * 24 * time.Hour

// setGRPCTimeout lets a caller's grpc-timeout bound the call, and the route's timeout that
// (Istio's HTTPRoute.timeout). One that is malformed, or 0, counts for nothing, as in Envoy.
func (d *delivery) setGRPCTimeout() {
	value, _ := d.ex.Request.Header("grpc-timeout")
	asked, ok := parseGRPCTimeout(value)
	if ok && (d.timeout == 0 || asked <= d.timeout) {
		d.timeout = asked
	} else {
		d.tellsTimeout = d.timeout > 0
	}
	if d.perTry > 0 && (d.timeout == 0 || d.perTry < d.timeout) {
		d.tellsTimeout = true
	}
}

// parseGRPCTimeout reads a grpc-timeout: up to eight digits and a unit (gRPC over HTTP/2,
// "Requests"). ok is false where it bounds nothing.
func parseGRPCTimeout(value string) (timeout time.Duration, ok bool) {
	last := len(value) - 1
	if last < 1 || last > 8 {
		return 0, false
	}
	n := time.Duration(0)
	for i := range last {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + time.Duration(c-'0')
	}
	var unit time.Duration
	switch value[last] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	if n > maxGRPCTimeout/unit {
		return maxGRPCTimeout, true
	}
	return n * unit, n > 0
}

// tellGRPCTimeout tells the upstream how long it has for the try that comes.
func (d *delivery) tellGRPCTimeout() {
	left := d.left()
	if d.perTry > 0 && (left == 0 || d.perTry < left) {
		left = d.perTry
	}
	if left == 0 {
		return
	}
	ex := d.ex
	at := len(ex.Scratch)
	ex.Scratch = appendGRPCTimeout(ex.Scratch, left)
	setHeader(&ex.Request.Headers, "grpc-timeout", ex.KeptFrom(at))
}

// appendGRPCTimeout appends a time as grpc-timeout has it, which is no more than eight digits.
// It is rounded up: the upstream must not give up just before its time is up here.
func appendGRPCTimeout(dst []byte, timeout time.Duration) []byte {
	unit, name := time.Millisecond, byte('m')
	switch {
	case timeout > 99_999_999*time.Second:
		unit, name = time.Hour, 'H'
	case timeout > 99_999_999*time.Millisecond:
		unit, name = time.Second, 'S'
	}
	return append(strconv.AppendInt(dst, int64((timeout+unit-1)/unit), 10), name)
}
