package decode

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

// scalar returns the value of n as the scalar type of field. In lists and maps, null
// is the zero value.
func (d *decoder) scalar(field protoreflect.FieldDescriptor, n *yaml.Node) (protoreflect.Value, bool) {
	if n.Kind != yaml.ScalarNode {
		d.bad(n, d.here(), "must be %s, not %s", wanted(field), describe(n))
		return protoreflect.Value{}, false
	}
	kind, text := manifest.Scalar(n)
	if kind == manifest.Null {
		return zero(field), true
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return d.text(n, kind, text)
	case protoreflect.BoolKind:
		if kind == manifest.Bool {
			return protoreflect.ValueOfBool(text == "true"), true
		}
		d.bad(n, d.here(), "must be true or false (without quotes), not %q", n.Value)
	case protoreflect.EnumKind:
		return d.enum(field.Enum(), n, kind, text)
	case protoreflect.BytesKind:
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && kind == manifest.String {
			return protoreflect.ValueOfBytes(b), true
		}
		d.bad(n, d.here(), "must be base64")
	default:
		return d.number(field, n, kind, text)
	}
	return protoreflect.Value{}, false
}

// zero is the zero value of field's scalar type.
func zero(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("")
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(false)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(0)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(nil)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(0)
	}
	v, _ := integer(field.Kind(), "0", 0)
	return v
}

func (d *decoder) text(n *yaml.Node, kind manifest.Kind, text string) (protoreflect.Value, bool) {
	if kind != manifest.String {
		d.bad(n, d.here(), "must be a string, and %s is %s: write %q", n.Value, kind, n.Value)
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfString(strings.Clone(text)), true
}

func (d *decoder) enum(enum protoreflect.EnumDescriptor, n *yaml.Node, kind manifest.Kind, text string) (protoreflect.Value, bool) {
	values := enum.Values()
	switch kind {
	case manifest.String:
		if v := values.ByName(protoreflect.Name(text)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), true
		}
	case manifest.Number:
		if i, err := strconv.ParseInt(text, 10, 32); err == nil && values.ByNumber(protoreflect.EnumNumber(i)) != nil {
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i)), true
		}
	}
	names := make([]string, values.Len())
	for i := range names {
		names[i] = string(values.Get(i).Name())
	}
	hint := "write one of " + strings.Join(names, ", ")
	if near := nearest(n.Value, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	d.bad(n, d.here(), "%q is not one of its choices: %s", n.Value, hint)
	return protoreflect.Value{}, false
}

// number reads a number, or a string that holds one as JSON writes it: Istio takes
// both.
func (d *decoder) number(field protoreflect.FieldDescriptor, n *yaml.Node, kind manifest.Kind, text string) (protoreflect.Value, bool) {
	if kind == manifest.Bool {
		d.bad(n, d.here(), "must be %s, not a boolean", wanted(field))
		return protoreflect.Value{}, false
	}
	if kind == manifest.String {
		text = strings.TrimSpace(text)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && (kind == manifest.Number || json.Valid([]byte(text))) {
		if field.Kind() == protoreflect.DoubleKind {
			return protoreflect.ValueOfFloat64(f), true
		}
		if v, ok := integer(field.Kind(), text, f); ok {
			return v, true
		}
	}
	d.bad(n, d.here(), "must be %s, not %q", wanted(field), n.Value)
	return protoreflect.Value{}, false
}

// integer returns text, whose value as a float is f, as an integer of a kind. 80.0
// is one too: YAML readers don't tell it from 80.
func integer(kind protoreflect.Kind, text string, f float64) (protoreflect.Value, bool) {
	if strings.ContainsAny(text, ".eE") && f == math.Trunc(f) {
		text = strconv.FormatFloat(f, 'f', 0, 64)
	}
	switch kind {
	case protoreflect.Int32Kind:
		i, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(i)), err == nil
	case protoreflect.Int64Kind:
		i, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(i), err == nil
	case protoreflect.Uint32Kind:
		u, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(u)), err == nil
	case protoreflect.Uint64Kind:
		u, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(u), err == nil
	}
	return protoreflect.Value{}, false
}

// wanted says what a field takes, for messages.
func wanted(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return "one word"
	case protoreflect.BytesKind:
		return "base64"
	case protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Uint32Kind:
		return "a whole number from 0 to 4294967295"
	case protoreflect.Uint64Kind:
		return "a whole number, not negative"
	}
	return "a whole number"
}

// structure fills a message that holds any JSON object.
func (d *decoder) structure(m *structpb.Struct, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, d.here(), "must be a mapping with members of its own, not %s", describe(n))
		return
	}
	var members map[string]any
	if err := json.Unmarshal(manifest.AppendJSON(nil, n), &members); err != nil {
		d.bad(n, d.here(), "cannot be read: %v", err)
		return
	}
	s, err := structpb.NewStruct(members)
	if err != nil {
		d.bad(n, d.here(), "cannot be read: %v", err)
		return
	}
	m.Fields = s.Fields
}

// duration reads what Go's time.ParseDuration takes, as Istio does, which is more
// than the "1.5s" of protocol buffers.
func (d *decoder) duration(m *durationpb.Duration, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		d.bad(n, d.here(), "must be a duration such as 1.5s, not %s", describe(n))
		return
	}
	kind, text := manifest.Scalar(n)
	v, err := time.ParseDuration(text)
	if kind != manifest.String || err != nil {
		hint := "1.5s or 1m"
		if kind == manifest.Number {
			hint = fmt.Sprintf("%ss or %sms", text, text)
		}
		d.bad(n, d.here(), "%q is not a duration: write one with its unit, such as %s", n.Value, hint)
		return
	}
	m.Seconds, m.Nanos = int64(v/time.Second), int32(v%time.Second)
}
