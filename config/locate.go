package config

import (
	"strconv"
	"strings"
	"sync/atomic"
	"weak"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

// Locate returns the line, in o's file, of a field or of the nearest thing around it
// that is written there. The path is a [Path]'s text: relative to spec where the
// object has one, but "metadata.name", "kind" and "spec.ports[0]" work too. It
// returns 0 where o does not know its own line.
//
// It reads the manifest, but where the object asked last was the same.
func (o *Object) Locate(field string) int {
	if o.Line == 0 {
		return 0
	}
	root := o.root()
	if root == nil {
		return o.Line
	}
	return o.Line + lineOf(root, field) - 1
}

// lastRead is the manifest that was read last: who asks for one field of an object mostly asks
// for others of it next, of which a large one has thousands. It is the collector's to take.
var lastRead atomic.Pointer[readManifest]

type readManifest struct {
	object weak.Pointer[Object]
	root   weak.Pointer[yaml.Node]
}

// root returns the object's manifest; nil where there is nothing to be read.
func (o *Object) root() *yaml.Node {
	own := weak.Make(o)
	if last := lastRead.Load(); last != nil && last.object == own {
		if root := last.root.Value(); root != nil {
			return root
		}
	}
	root, err := manifest.Parse(o.Text())
	if err != nil || root == nil {
		return nil
	}
	lastRead.Store(&readManifest{own, weak.Make(root)})
	return root
}

// Place says of each condition, in place, that it is about o: it fills the key, the
// file and the line of the field.
func (o *Object) Place(conditions []Condition) {
	var root *yaml.Node
	if o.Line > 0 && len(conditions) > 0 {
		root = o.root()
	}
	for i := range conditions {
		c := &conditions[i]
		c.Object, c.File = o.Key, o.File
		switch {
		case c.Line > 0:
		case root != nil:
			c.Line = o.Line + lineOf(root, c.Field) - 1
		default:
			c.Line = o.Line
		}
	}
}

// lineOf returns the line, within the manifest, of a field under root.
func lineOf(root *yaml.Node, field string) int {
	steps := pathSteps(field)
	n, line := root, root.Line
	if len(steps) > 0 && !isEnvelope(steps[0]) {
		if key, spec := pair(root, "spec"); spec != nil {
			n, line = spec, key.Line
		}
	}
	for _, step := range steps {
		at, child := child(n, step)
		if child == nil {
			break
		}
		n, line = child, at
	}
	return line
}

// isEnvelope reports whether a path's first step is a field of every object.
func isEnvelope(step string) bool {
	switch step {
	case "apiVersion", "kind", "metadata", "spec", "status":
		return true
	}
	return false
}

// child returns what a step of a path leads to from n, and the line where it starts;
// for a field that is the line of its name.
func child(n *yaml.Node, step string) (int, *yaml.Node) {
	if n.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(n.Content) {
			return 0, nil
		}
		return n.Content[i].Line, n.Content[i]
	}
	key, value := pair(n, step)
	if value == nil {
		return 0, nil
	}
	return key.Line, value
}

// pair returns the key and value of a field of n. Protocol buffers have two
// spellings of a name, mirrorPercent and mirror_percent: either finds the other.
func pair(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	folded := foldName(name)
	for i := 0; i < len(n.Content); i += 2 {
		if foldName(n.Content[i].Value) == folded {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

func foldName(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}
