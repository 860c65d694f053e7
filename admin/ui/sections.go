package ui

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// sections are the parts of a State by their names in JSON, each in a line. The page is
// sent those that changed.
type sections map[string]json.RawMessage

// sectionIndex are the fields of State by those names.
var sectionIndex = func() map[string]int {
	index := make(map[string]int)
	for t, i := reflect.TypeFor[State](), 0; i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		index[name] = i
	}
	return index
}()

// split returns the sections of a state.
func split(state State) (sections, error) {
	v := reflect.ValueOf(state)
	out := make(sections, len(sectionIndex))
	for name, i := range sectionIndex {
		text, err := json.Marshal(v.Field(i).Interface())
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

// parse reads the sections of a peer's state. Those that are not known here are dropped.
func parse(text []byte) (sections, error) {
	var in sections
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	for name, section := range in {
		if _, known := sectionIndex[name]; !known {
			delete(in, name)
			continue
		}
		// A line break would end the event's line.
		var line bytes.Buffer
		if err := json.Compact(&line, section); err != nil {
			return nil, err
		}
		in[name] = line.Bytes()
	}
	return in, nil
}
