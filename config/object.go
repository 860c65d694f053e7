package config

import (
	"time"
)

// Key identifies an object, whichever version of its API it was written in.
type Key struct {
	// Group is the API group, such as "networking.istio.io"; empty for the core one.
	Group     string
	Kind      string
	Namespace string
	Name      string
}

// String returns "Kind namespace/name", as conditions name objects.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}

// Object is an API object as it was written. It is immutable: a change makes a new
// Object, and an unchanged one keeps its pointer.
type Object struct {
	Key
	// Version is the version of the API it was written in, such as "v1beta1".
	Version     string
	Labels      map[string]string
	Annotations map[string]string
	// Created decides conflicts: the older object wins; among equals (objects in
	// files seldom carry a timestamp) the one whose name, then namespace, sorts first.
	Created Time
	// Source has the text of this one object, YAML or JSON (which is YAML too); nil for none. See
	// [Object.Text].
	Source Source
	// File and Line say where the text's first line stands; File is empty where
	// the object does not come from a file. Line counts from 1.
	File string
	Line int
	// Derived is set where one front end made the object for another; it then has no
	// text.
	Derived *Derived
}

// Derived is an object of an API that nobody wrote: it says in that API what objects of
// another say.
type Derived struct {
	// Typed is the object as the Go type of its kind. It is valid, and nobody changes it.
	Typed any
	// From returns what a field of the object was made from. Conditions and origins name
	// that instead.
	From func(field string) (Key, string)
}

// Delta is a change to the set of objects.
type Delta struct {
	// Set holds objects that are new or changed.
	Set []*Object
	// Removed holds the keys of objects that are gone.
	Removed []Key
	// Moved says where objects stand now whose text is the same but which other
	// text pushed up or down in their file. Such an object keeps its pointer, and so
	// its old Line; only whoever shows lines to people has to look here.
	Moved []Place
	// Conditions is everything that is wrong with the sources themselves (a file
	// that does not parse, a key given twice): the whole list, each time.
	Conditions []Condition
	// Seen is when the first of the changes came about, as far as that is known: when a file
	// was written, or a cluster told of an object. It is zero where there is nothing to wait
	// for, as when everything is read for the first time.
	Seen time.Time
}

// Place is the line, counted from 1, at which an object's text now begins in its file.
type Place struct {
	Key  Key
	Line int
}
