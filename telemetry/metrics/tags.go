package metrics

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/expression"
)

// maxTagValues is how many values a tag by expression may have; others are counted as "other".
const maxTagValues = 100

// maxTagLength bounds each of them, in bytes.
const maxTagLength = 253

// otherValue is the number of all values beyond maxTagValues.
const otherValue = 255

// tagExpression is an expression that gives a label its value, and the values that it had.
type tagExpression struct {
	program *expression.Program

	values atomic.Pointer[map[string]uint8]
	mu     sync.Mutex // for who adds values
	names  []string
}

// tag returns the place of an expression in the policy.
func (p *policy) tag(t router.TagOverride) (int, error) {
	for i, known := range p.tags {
		if known.program.String() == t.Value {
			return i, nil
		}
	}
	if len(p.tags) == maxTags {
		return 0, fmt.Errorf("there are more than %d different expressions; remove some", maxTags)
	}
	program, err := expression.Compile(t.Value, expression.Text)
	if err != nil {
		return 0, err
	}
	p.tags = append(p.tags, &tagExpression{program: program})
	return len(p.tags) - 1, nil
}

// evaluate fills in the numbers of the tags' values for an exchange, or else a stream. The
// caller holds the shard's lock.
func (s *shard) evaluate(k *key, ex *proxy.Exchange, st *proxy.Stream) {
	for i, t := range k.policy.tags {
		value, ok := s.scratch[:0], false
		if ex != nil {
			value, ok = t.program.AppendString(value, ex)
		} else {
			value, ok = t.program.AppendStringStream(value, st)
		}
		if !ok {
			value = append(value[:0], unknown...)
		}
		s.scratch = value[:0]
		k.tags[i] = t.number(value[:min(len(value), maxTagLength)])
	}
}

// number returns that of a value, from 1.
func (t *tagExpression) number(value []byte) uint8 {
	if values := t.values.Load(); values != nil {
		if n, known := (*values)[string(value)]; known {
			return n
		}
		if len(*values) >= maxTagValues {
			return otherValue
		}
	}
	return t.add(string(value))
}

// add gives a value its number.
func (t *tagExpression) add(value string) uint8 {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[string]uint8)
	if values := t.values.Load(); values != nil {
		if n, known := (*values)[value]; known {
			return n
		}
		maps.Copy(next, *values)
	}
	if len(next) >= maxTagValues {
		return otherValue
	}
	t.names = append(t.names, value)
	n := uint8(len(t.names))
	next[value] = n
	t.values.Store(&next)
	return n
}

// name returns the value of a number.
func (t *tagExpression) name(n uint8) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case n == 0:
		return unknown
	case n == otherValue:
		return other
	}
	return t.names[n-1]
}
