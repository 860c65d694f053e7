package istio

import (
	"slices"
	"strings"
)

// interned are the strings, and the lists of them, that were kept in the course of one Apply:
// what thousands of objects name alike is in memory once. It is forgotten with each Apply
// rather than kept in step with what goes: the strings of a first load, which are the many,
// are shared all the same.
type interned struct {
	strings map[string]string
	lists   map[string]*names
}

// one returns the string that stands for all that equal s. It shares no memory with s, which
// may be a part of a whole manifest.
func (in *interned) one(s string) string {
	if s == "" {
		return ""
	}
	known, ok := in.strings[s]
	if !ok {
		if in.strings == nil {
			in.strings = map[string]string{}
		}
		known = strings.Clone(s)
		in.strings[known] = known
	}
	return known
}

// names is a list of names that many have in common: nobody may change it. There is none where
// it is nil.
type names struct{ list []string }

// all returns the names.
func (n *names) all() []string {
	if n == nil {
		return nil
	}
	return n.list
}

// list returns the list that stands for all that equal one.
func (in *interned) list(list []string) *names {
	if len(list) == 0 {
		return nil
	}
	key := list[0]
	if len(list) > 1 {
		key = strings.Join(list, "\x00")
	}
	known, ok := in.lists[key]
	if !ok {
		if in.lists == nil {
			in.lists = map[string]*names{}
		}
		known = &names{slices.Clip(slices.Clone(list))}
		in.lists[key] = known
	}
	return known
}
