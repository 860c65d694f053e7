package decode

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape is where the Go type of a message has its fields. It is worked out once for each type:
// to ask the message itself for every value costs a good part of decoding.
type shape struct {
	descriptor protoreflect.MessageDescriptor
	fields     []*field
	// byName has each field under its JSON name and, where that is another, under its own.
	byName map[string]*field
	custom custom
}

// field is a field of a message.
type field struct {
	protoreflect.FieldDescriptor
	json string
	// at is the index of the field in the Go struct; of a member of a oneof, that of the
	// interface that holds it.
	at int
	// wrapper is the struct, with one field, that a member of a oneof is wrapped in; else nil.
	wrapper reflect.Type
	// of is the message that the field holds, or its items or values, and child the shape of
	// that, made when it is first met.
	of    reflect.Type
	child atomic.Pointer[shape]
}

// custom tells the messages that JSON writes as one word, or as anything.
type custom uint8

const (
	ordinary custom = iota
	isDuration
	isWrapper
	isStruct
)

var customMessages = map[protoreflect.FullName]custom{
	"google.protobuf.Duration":    isDuration,
	"google.protobuf.BoolValue":   isWrapper,
	"google.protobuf.UInt32Value": isWrapper,
	"google.protobuf.DoubleValue": isWrapper,
	"google.protobuf.Int64Value":  isWrapper,
	"google.protobuf.StringValue": isWrapper,
	"google.protobuf.Struct":      isStruct,
}

// shapes are those worked out so far, by the struct.
var shapes sync.Map

// shapeOf returns the shape of the struct of a message.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	m := reflect.New(t).Interface().(proto.Message).ProtoReflect()
	s := &shape{descriptor: m.Descriptor(), byName: map[string]*field{}}
	s.custom = customMessages[s.descriptor.FullName()]
	places, oneofs := goFields(t)
	all := s.descriptor.Fields()
	for i := range all.Len() {
		f := &field{FieldDescriptor: all.Get(i), json: all.Get(i).JSONName()}
		holder := t
		if one := f.ContainingOneof(); one != nil && !one.IsSynthetic() {
			f.at = oneofs[one.Name()]
			f.wrapper = wrapperOf(m, f)
			holder = f.wrapper
		} else {
			f.at = places[f.Number()]
		}
		f.of = messageIn(holder.Field(f.place()).Type)
		s.fields = append(s.fields, f)
	}
	for _, f := range s.fields {
		s.byName[string(f.Name())] = f
	}
	for _, f := range s.fields {
		s.byName[f.json] = f
	}
	known, _ := shapes.LoadOrStore(t, s)
	return known.(*shape)
}

// place is the index of the field in the struct that holds its value.
func (f *field) place() int {
	if f.wrapper != nil {
		return 0
	}
	return f.at
}

// shape is that of the message the field holds.
func (f *field) shape() *shape {
	s := f.child.Load()
	if s == nil {
		s = shapeOf(f.of)
		f.child.Store(s)
	}
	return s
}

// goFields returns where a struct has the fields of its message, by their number, and the
// interfaces for oneofs: the tags of generated code say it.
func goFields(t reflect.Type) (map[protoreflect.FieldNumber]int, map[protoreflect.Name]int) {
	places, oneofs := map[protoreflect.FieldNumber]int{}, map[protoreflect.Name]int{}
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if one := tag.Get("protobuf_oneof"); one != "" {
			oneofs[protoreflect.Name(one)] = i
		}
		if parts := strings.SplitN(tag.Get("protobuf"), ",", 3); len(parts) > 1 {
			number, _ := strconv.Atoi(parts[1])
			places[protoreflect.FieldNumber(number)] = i
		}
	}
	return places, oneofs
}

// wrapperOf returns the struct that a member of a oneof is wrapped in.
func wrapperOf(m protoreflect.Message, f *field) reflect.Type {
	scratch := m.New()
	scratch.Set(f.FieldDescriptor, scratch.NewField(f.FieldDescriptor))
	return reflect.ValueOf(scratch.Interface()).Elem().Field(f.at).Elem().Type().Elem()
}

// messageIn returns the struct of the messages that a Go field holds, nil where it holds none.
func messageIn(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return t.Elem()
	}
	return nil
}

// names are the JSON names of the fields.
func (s *shape) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.json
	}
	return names
}
