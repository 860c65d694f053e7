package accesslog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// moment makes %START_TIME(F)% and the like: of the start or of now, in UTC or in local time.
func moment(now, local bool) func(string) (piece, wanted, error) {
	return func(format string) (piece, wanted, error) {
		part, err := strftime(format)
		if err != nil {
			return piece{}, wanted{}, err
		}
		if local && format == "" {
			if part, err = strftime("%Y-%m-%dT%H:%M:%S.%3f%z"); err != nil {
				return piece{}, wanted{}, err
			}
		}
		return piece{safe: true, odd: format != "", get: func(dst []byte, s source) ([]byte, bool) {
			var t time.Time
			if now {
				t = time.Now()
			} else {
				t = s.start()
			}
			if local {
				return part(dst, t.Local()), true
			}
			return part(dst, t.UTC()), true
		}}, wanted{}, nil
	}
}

// point is one in the life of an exchange.
type point uint8

const (
	pointRequestBegan point = iota
	pointRequestEnded
	pointUpstreamBegan
	pointResponseBegan
	pointFlushed
	pointEnd
	pointConnected
)

// points are those of %COMMON_DURATION%.
var points = map[string]point{
	"DS_RX_BEG": pointRequestBegan, "DS_RX_END": pointRequestEnded,
	"US_TX_BEG": pointUpstreamBegan, "US_TX_END": pointUpstreamBegan, "US_RX_BEG": pointResponseBegan,
	"DS_TX_BEG": pointFlushed, "DS_TX_END": pointEnd, "US_RX_END": pointEnd,
	"DS_CX_BEG": pointRequestBegan, "DS_CX_END": pointEnd, "US_CX_END": pointConnected,
}

// at returns when a point was reached, on the clock of the start; 0 where it was not, or is not
// known.
func (s source) at(p point) int64 {
	if s.ex == nil {
		switch p {
		case pointRequestBegan:
			return s.st.Start
		case pointConnected:
			return s.st.Connected
		case pointEnd:
			return s.st.End
		}
		return 0
	}
	switch p {
	case pointRequestBegan:
		return s.ex.Start
	case pointRequestEnded:
		if s.ex.Buffered { // the body came with the head
			return s.ex.Start
		}
	case pointUpstreamBegan:
		return s.ex.UpstreamStart
	case pointResponseBegan:
		return s.ex.UpstreamFirst
	case pointFlushed:
		return s.ex.ResponseFlushed
	case pointEnd:
		return s.ex.End
	}
	return 0
}

// between returns the time from one point to another; ok is false where either is missing.
func between(s source, from, to point) (d time.Duration, ok bool) {
	begin, end := s.at(from), s.at(to)
	return time.Duration(end - begin), begin != 0 && end != 0
}

// milliseconds returns them, -1 where there are none.
func milliseconds(d time.Duration, ok bool) int64 {
	if !ok {
		return -1
	}
	return max(0, d.Milliseconds())
}

// commonDuration makes %COMMON_DURATION(START:END:PRECISION)%.
func commonDuration(argument string) (piece, wanted, error) {
	parts := strings.Split(argument, ":")
	if len(parts) != 3 {
		return piece{}, wanted{}, errors.New("the argument is START:END:PRECISION, such as DS_RX_BEG:US_RX_BEG:ms")
	}
	unit := map[string]time.Duration{"ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}[parts[2]]
	if unit == 0 {
		return piece{}, wanted{}, fmt.Errorf("%q is no precision; there are ms, us and ns", parts[2])
	}
	// Names that are not known are those of Envoy's filters, which are never reached here.
	from, known := points[parts[0]]
	to, known2 := points[parts[1]]
	return piece{safe: true, number: true, get: func(dst []byte, s source) ([]byte, bool) {
		d, ok := between(s, from, to)
		if !ok || !known || !known2 || d < 0 {
			return dst, false
		}
		return strconv.AppendInt(dst, int64(d/unit), 10), true
	}}, wanted{}, nil
}
