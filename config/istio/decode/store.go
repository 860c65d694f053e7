package decode

import (
	"reflect"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// store sets the Go field of a scalar.
func store(to reflect.Value, v protoreflect.Value) {
	switch to.Kind() {
	case reflect.String:
		to.SetString(v.String())
	case reflect.Bool:
		to.SetBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		to.SetInt(whole(v))
	case reflect.Uint32, reflect.Uint64:
		to.SetUint(v.Uint())
	case reflect.Float32, reflect.Float64:
		to.SetFloat(v.Float())
	case reflect.Slice:
		to.SetBytes(v.Bytes())
	case reflect.Pointer:
		// The message tells 0 from nothing.
		to.Set(reflect.New(to.Type().Elem()))
		store(to.Elem(), v)
	}
}

// whole returns an integer or the number of an enum's value.
func whole(v protoreflect.Value) int64 {
	if number, ok := v.Interface().(protoreflect.EnumNumber); ok {
		return int64(number)
	}
	return v.Int()
}

// put sets the value of a key of a map.
func put(to reflect.Value, key string, v protoreflect.Value) {
	if texts, ok := to.Addr().Interface().(*map[string]string); ok {
		(*texts)[key] = v.String()
		return
	}
	value := reflect.New(to.Type().Elem()).Elem()
	store(value, v)
	to.SetMapIndex(reflect.ValueOf(key), value)
}
