package decode

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	mesh "istio.io/api/mesh/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
)

// unread are messages of the mesh's configuration that are taken as they are declared, not as
// one word.
var unread = map[protoreflect.FullName]bool{"google.protobuf.Int32Value": true, "google.protobuf.Value": true}

// fill gives a message a value in the field that pick chooses, and in all fields of messages
// below it, down to a depth.
func fill(m protoreflect.Message, depth int, pick func(protoreflect.FieldDescriptor) bool) {
	if s, ok := m.Interface().(*structpb.Struct); ok {
		s.Fields = map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !pick(f) || f.Message() != nil && unread[f.Message().FullName()] {
			continue
		}
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), sample(f.MapValue(), depth, m.Mutable(f).Map().NewValue))
		case f.IsList():
			list := m.Mutable(f).List()
			list.Append(sample(f, depth, list.NewElement))
			list.Append(sample(f, depth, list.NewElement))
		default:
			m.Set(f, sample(f, depth, func() protoreflect.Value { return m.NewField(f) }))
		}
	}
}

// sample is a value of a field that is not its default.
func sample(f protoreflect.FieldDescriptor, depth int, fresh func() protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		v := fresh()
		if depth > 0 {
			// Of a oneof only the last member counts.
			last := map[protoreflect.Name]protoreflect.FieldDescriptor{}
			fields := v.Message().Descriptor().Fields()
			for i := range fields.Len() {
				if one := fields.Get(i).ContainingOneof(); one != nil {
					last[one.Name()] = fields.Get(i)
				}
			}
			fill(v.Message(), depth-1, func(f protoreflect.FieldDescriptor) bool {
				return f.ContainingOneof() == nil || last[f.ContainingOneof().Name()] == f
			})
		}
		return v
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text")
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bytes"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1.5)
	}
	v, _ := integer(f.Kind(), "7", 7)
	return v
}

// TestEveryFieldIsReadWhereItStands gives each field of each kind a value, and reads what
// protocol buffers write of it.
func TestEveryFieldIsReadWhereItStands(t *testing.T) {
	t.Parallel()
	specs := []proto.Message{&mesh.MeshConfig{}}
	for _, newObject := range istioKinds {
		_, _, _, spec := newObject()
		specs = append(specs, spec)
	}
	for _, spec := range specs {
		fields := spec.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			want := spec.ProtoReflect().New()
			fill(want, 6, func(f protoreflect.FieldDescriptor) bool { return f == fields.Get(i) })
			text, err := protojson.Marshal(want.Interface())
			if err != nil {
				t.Fatal(err)
			}
			root, err := manifest.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.New(reflect.TypeOf(spec).Elem()).Interface().(proto.Message)
			d := decoder{object: &config.Object{}}
			d.spec(got, root)
			if !proto.Equal(got, want.Interface()) {
				t.Errorf("%s: got %v\nwant %v", fields.Get(i).FullName(), got, want.Interface())
			}
			if len(d.conditions) > 0 || len(d.steps) > 0 {
				t.Errorf("%s: %v, %v", fields.Get(i).FullName(), d.conditions, d.steps)
			}
		}
	}
}
