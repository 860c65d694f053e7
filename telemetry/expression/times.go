package expression

import (
	"strings"
	"time"
)

// timeParts are the parts of moments, and of durations where that is not nil.
var timeParts = map[string]struct {
	moment func(time.Time) int
	span   func(time.Duration) int64
}{
	"getFullYear":     {time.Time.Year, nil},
	"getMonth":        {func(t time.Time) int { return int(t.Month()) - 1 }, nil},
	"getDayOfYear":    {func(t time.Time) int { return t.YearDay() - 1 }, nil},
	"getDayOfMonth":   {func(t time.Time) int { return t.Day() - 1 }, nil},
	"getDate":         {time.Time.Day, nil},
	"getDayOfWeek":    {func(t time.Time) int { return int(t.Weekday()) }, nil},
	"getHours":        {time.Time.Hour, func(d time.Duration) int64 { return int64(d / time.Hour) }},
	"getMinutes":      {time.Time.Minute, func(d time.Duration) int64 { return int64(d / time.Minute) }},
	"getSeconds":      {time.Time.Second, func(d time.Duration) int64 { return int64(d / time.Second) }},
	"getMilliseconds": {func(t time.Time) int { return t.Nanosecond() / 1e6 }, time.Duration.Milliseconds},
}

// timePart makes the program of a.getHours('Europe/Berlin') and the like.
func (c *compiler) timePart(e *expr) (node, typ, error) {
	nodes, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	part := timeParts[e.name]
	if !types[0].may(kindTime) && (part.span == nil || types[0].kind != kindDuration) {
		return nil, dynType, c.fail(e, "%s() is asked of a timestamp, and this is a %s", e.name, types[0])
	}
	n := &timePart{of: nodes[0], moment: part.moment, span: part.span, zone: time.UTC}
	switch {
	case len(nodes) == 1:
	case len(nodes) == 2 && types[0].kind != kindDuration:
		name, ok := nodes[1].(constant)
		if !ok || name.v.kind != kindString {
			return nil, dynType, c.fail(e.args[1], "a time zone must be a literal, such as 'Europe/Berlin' or '+01:00'")
		}
		if n.zone, ok = zone(name.v.s); !ok {
			return nil, dynType, c.fail(e.args[1], "there is no time zone %s; write one such as 'Europe/Berlin' or '+01:00'", name.v.s)
		}
		n.span = nil
	default:
		return nil, dynType, c.fail(e, "%s() takes nothing, or for a timestamp a time zone", e.name)
	}
	return n, intType, nil
}

// zone returns a time zone by its name, or by its distance from UTC.
func zone(name string) (*time.Location, bool) {
	if strings.Contains(name, ":") {
		if isDigit(name[0]) {
			name = "+" + name
		}
		t, err := time.Parse("-07:00", name)
		if err != nil {
			return nil, false
		}
		_, offset := t.Zone()
		return time.FixedZone(name, offset), true
	}
	l, err := time.LoadLocation(name)
	return l, err == nil
}

type timePart struct {
	of     node
	moment func(time.Time) int
	span   func(time.Duration) int64 // nil where it is not for durations
	zone   *time.Location
}

func (n *timePart) eval(m *machine) value {
	switch of := n.of.eval(m); {
	case of.kind == kindTime:
		return intValue(int64(n.moment(of.moment().In(n.zone))))
	case of.kind == kindDuration && n.span != nil:
		return intValue(n.span(time.Duration(of.n)))
	}
	return failed
}
