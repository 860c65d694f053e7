package decode

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

// spec fills m from the mapping n.
func (d *decoder) spec(m proto.Message, n *yaml.Node) {
	v := reflect.ValueOf(m).Elem()
	d.message(shapeOf(v.Type()), v, n)
}

// message fills v, the struct of a message, from the mapping n. It follows the JSON form of
// protocol buffers (https://protobuf.dev/programming-guides/json/) as Istio reads it: both
// spellings of a name, numbers in quotes, durations such as "1m30s", null for nothing; of
// several members of a oneof, the one declared last.
func (d *decoder) message(s *shape, v reflect.Value, n *yaml.Node) {
	switch s.custom {
	case isDuration:
		d.duration(v.Addr().Interface().(*durationpb.Duration), n)
		return
	case isStruct:
		d.structure(v.Addr().Interface().(*structpb.Struct), n)
		return
	case isWrapper:
		// A message that holds one scalar, to tell 0 from nothing.
		d.set(s.fields[0], v.Field(s.fields[0].at), n)
		return
	}
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.bad(n, d.here(), "must be a mapping with fields of its own, not %s", describe(n))
		}
		return
	}
	var seen fieldSet
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f := s.byName[key.Value]
		if f == nil {
			d.unknownField(key, s)
			continue
		}
		if isNull(value) {
			continue
		}
		d.steps = append(d.steps, step{name: f.json})
		if first := !seen.has(f.Index()); first || d.again(f, v, key) {
			seen.add(f.Index())
			d.field(s, f, v, key, value)
		}
		d.steps = d.steps[:len(d.steps)-1]
	}
}

// again says whether a field that the message has already is to be read once more: its JSON
// name counts.
func (d *decoder) again(f *field, v reflect.Value, key *yaml.Node) bool {
	d.warn(FieldTwice, key, d.here(), "the field is given as %s and as %s: keep one", f.json, f.Name())
	if key.Value != f.json {
		return false
	}
	if held := v.Field(f.at); f.wrapper == nil || f.isIn(held) {
		held.SetZero()
	}
	return true
}

// isIn says whether the interface of a oneof holds f.
func (f *field) isIn(oneof reflect.Value) bool {
	return !oneof.IsNil() && oneof.Elem().Type().Elem() == f.wrapper
}

// field sets one field of the message v.
func (d *decoder) field(s *shape, f *field, v reflect.Value, key, value *yaml.Node) {
	at := v.Field(f.at)
	if f.wrapper == nil {
		d.set(f, at, value)
		return
	}
	if !at.IsNil() && !f.isIn(at) {
		other := s.member(at)
		last, first := f, other
		if other.Index() > f.Index() {
			last, first = other, f
		}
		d.warn(FieldTwice, key, d.here(), "%s and %s exclude each other: %s counts, remove one", first.json, last.json, last.json)
		if last == other {
			return
		}
	}
	wrapper := reflect.New(f.wrapper)
	if d.set(f, wrapper.Elem().Field(0), value) {
		at.Set(wrapper)
	}
}

// member returns the field that the interface of a oneof holds.
func (s *shape) member(oneof reflect.Value) *field {
	for _, f := range s.fields {
		if f.wrapper != nil && f.isIn(oneof) {
			return f
		}
	}
	return nil
}

// set sets the Go field of f. It returns false where a scalar has no value then.
func (d *decoder) set(f *field, to reflect.Value, n *yaml.Node) bool {
	switch {
	case f.IsList():
		d.list(f, to, n)
	case f.IsMap():
		d.mapping(f, to, n)
	case f.of != nil:
		child := reflect.New(f.of)
		d.message(f.shape(), child.Elem(), n)
		to.Set(child)
	default:
		v, ok := d.scalar(f.FieldDescriptor, n)
		if ok {
			store(to, v)
		}
		return ok
	}
	return true
}

func (d *decoder) list(f *field, to reflect.Value, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode {
			d.bad(n, d.here(), "must be a list: write [%s]", n.Value)
		} else {
			d.bad(n, d.here(), `must be a list: put "- " before its item`)
		}
		return
	}
	to.Grow(len(n.Content))
	for i, item := range n.Content {
		d.steps = append(d.steps, step{kind: indexStep, index: i})
		if f.of != nil {
			child := reflect.New(f.of)
			d.message(f.shape(), child.Elem(), item)
			to.SetLen(i + 1)
			to.Index(i).Set(child)
		} else if v, ok := d.scalar(f.FieldDescriptor, item); ok {
			last := to.Len()
			to.SetLen(last + 1)
			store(to.Index(last), v)
		}
		d.steps = d.steps[:len(d.steps)-1]
	}
}

func (d *decoder) mapping(f *field, to reflect.Value, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, d.here(), "must map names to values, not be %s", describe(n))
		return
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(n.Content)/2))
	values := f.MapValue()
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		d.steps = append(d.steps, step{kind: keyStep, name: key.Value})
		if f.of != nil {
			child := reflect.New(f.of)
			d.message(f.shape(), child.Elem(), value)
			to.SetMapIndex(reflect.ValueOf(strings.Clone(key.Value)), child)
		} else if v, ok := d.scalar(values, value); ok {
			put(to, strings.Clone(key.Value), v)
		}
		d.steps = d.steps[:len(d.steps)-1]
	}
}

// unknownField warns of a key that is no field of the message.
func (d *decoder) unknownField(key *yaml.Node, s *shape) {
	at := d.here().Field(key.Value)
	if hint := gone[s.descriptor.Name()][foldName(key.Value)]; hint != "" {
		d.warn(UnknownField, key, at, "%s", hint)
		return
	}
	d.unknown(key, at, s.names())
}

// describe says what a node is, for messages.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	kind, _ := manifest.Scalar(n)
	return kind.String()
}

// fieldSet is a set of field indexes; no message of the API has 64 fields.
type fieldSet uint64

func (s fieldSet) has(i int) bool { return s&(1<<i) != 0 }
func (s *fieldSet) add(i int)     { *s |= 1 << i }
