package decode

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
)

// message fills m from the mapping n. It follows the JSON form of protocol buffers
// (https://protobuf.dev/programming-guides/json/) as Istio reads it: both spellings
// of a name, numbers in quotes, durations such as "1m30s", null for nothing; of
// several members of a oneof, the one declared last.
func (d *decoder) message(m protoreflect.Message, n *yaml.Node, at *config.Path) {
	descriptor := m.Descriptor()
	if wellKnown := wellKnownTypes[descriptor.FullName()]; wellKnown != nil {
		wellKnown(d, m, n, at)
		return
	}
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.bad(n, at, "must be a mapping with fields of its own, not %s", describe(n))
		}
		return
	}
	fields := descriptor.Fields()
	var seen fieldSet
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := fields.ByJSONName(key.Value)
		preferred := field != nil
		if field == nil {
			field = fields.ByName(protoreflect.Name(key.Value))
		}
		if field == nil {
			d.unknownField(key, descriptor, at)
			continue
		}
		if isNull(value) {
			continue
		}
		if seen.has(field.Index()) {
			d.warn(FieldTwice, key, at.Field(field.JSONName()), "the field is given as %s and as %s: keep one", field.JSONName(), field.Name())
			if !preferred {
				continue
			}
			m.Clear(field)
		}
		seen.add(field.Index())
		d.field(m, field, key, value, at)
	}
}

// field sets one field of m.
func (d *decoder) field(m protoreflect.Message, field protoreflect.FieldDescriptor, key, value *yaml.Node, at *config.Path) {
	at = at.Field(field.JSONName())
	if oneof := field.ContainingOneof(); oneof != nil {
		if other := m.WhichOneof(oneof); other != nil && other != field {
			last, first := field, other
			if other.Index() > field.Index() {
				last, first = other, field
			}
			d.warn(FieldTwice, key, at, "%s and %s exclude each other: %s counts, remove one", first.JSONName(), last.JSONName(), last.JSONName())
			if last == other {
				return
			}
		}
	}
	switch {
	case field.IsList():
		d.list(m.Mutable(field).List(), field, value, at)
	case field.IsMap():
		d.mapping(m.Mutable(field).Map(), field, value, at)
	case field.Message() != nil:
		child := m.NewField(field)
		d.message(child.Message(), value, at)
		m.Set(field, child)
	default:
		if v, ok := d.scalar(field, value, at); ok {
			m.Set(field, v)
		}
	}
}

func (d *decoder) list(list protoreflect.List, field protoreflect.FieldDescriptor, n *yaml.Node, at *config.Path) {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode {
			d.bad(n, at, "must be a list: write [%s]", n.Value)
		} else {
			d.bad(n, at, `must be a list: put "- " before its item`)
		}
		return
	}
	for i, item := range n.Content {
		if field.Message() != nil {
			d.message(list.AppendMutable().Message(), item, at.Index(i))
			continue
		}
		if v, ok := d.scalar(field, item, at.Index(i)); ok {
			list.Append(v)
		}
	}
}

func (d *decoder) mapping(values protoreflect.Map, field protoreflect.FieldDescriptor, n *yaml.Node, at *config.Path) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "must map names to values, not be %s", describe(n))
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := at.Key(key.Value)
		mapKey := protoreflect.ValueOfString(strings.Clone(key.Value)).MapKey()
		if field.MapValue().Message() != nil {
			v := values.NewValue()
			d.message(v.Message(), value, at)
			values.Set(mapKey, v)
			continue
		}
		if v, ok := d.scalar(field.MapValue(), value, at); ok {
			values.Set(mapKey, v)
		}
	}
}

// unknownField warns of a key that is no field of the message.
func (d *decoder) unknownField(key *yaml.Node, descriptor protoreflect.MessageDescriptor, at *config.Path) {
	at = at.Field(key.Value)
	if hint := gone[descriptor.Name()][foldName(key.Value)]; hint != "" {
		d.warn(UnknownField, key, at, "%s", hint)
		return
	}
	fields := descriptor.Fields()
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = fields.Get(i).JSONName()
	}
	d.unknown(key, at, names)
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
