package kube

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestNames: the fields here have the names of Kubernetes' own, all of them but in Pods.
func TestNames(t *testing.T) {
	t.Parallel()
	compare(t, "Service", reflect.TypeFor[Service](), reflect.TypeFor[corev1.Service](), true)
	//lint:ignore SA1019 it is read here because people still write it
	compare(t, "Endpoints", reflect.TypeFor[Endpoints](), reflect.TypeFor[corev1.Endpoints](), true)
	compare(t, "EndpointSlice", reflect.TypeFor[EndpointSlice](), reflect.TypeFor[discoveryv1.EndpointSlice](), true)
	compare(t, "Namespace", reflect.TypeFor[Namespace](), reflect.TypeFor[corev1.Namespace](), true)
	compare(t, "Node", reflect.TypeFor[Node](), reflect.TypeFor[corev1.Node](), true)
	compare(t, "Secret", reflect.TypeFor[Secret](), reflect.TypeFor[corev1.Secret](), true)
	compare(t, "Pod", reflect.TypeFor[Pod](), reflect.TypeFor[corev1.Pod](), false)
}

// compare holds the names of ours to those of theirs, and where all is set the other way round.
func compare(t *testing.T, path string, ours, theirs reflect.Type, all bool) {
	t.Helper()
	ours, theirs = element(ours), element(theirs)
	if ours == reflect.TypeFor[Unread]() || ours == reflect.TypeFor[IntOrString]() || ours.Kind() != reflect.Struct || ours == theirs {
		return
	}
	if theirs.Kind() != reflect.Struct {
		t.Errorf("%s is no struct in Kubernetes", path)
		return
	}
	for name, field := range fields(ours) {
		other, ok := fields(theirs)[name]
		if !ok {
			t.Errorf("%s.%s: there is no such field in Kubernetes", path, name)
			continue
		}
		compare(t, path+"."+name, field, other, all)
	}
	for name := range fields(theirs) {
		if _, ok := fields(ours)[name]; all && !ok {
			t.Errorf("%s.%s is missing", path, name)
		}
	}
}

// element is what a type points to or lists.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func fields(t reflect.Type) map[string]reflect.Type {
	list := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			list[name] = f.Type
		}
	}
	return list
}
