package config

import (
	"strconv"
	"strings"
)

// Path is the place of a field in an object, as conditions write it:
// "http[2].route[0].destination.subset", and "http[0].match[0].headers[x-user].exact"
// for the key of a map. For Istio's kinds it starts inside spec. It is a list from
// the leaf to the root, so that walking an object costs little; nil is the root.
type Path struct {
	parent *Path
	// name is a field or, with key, the key of a map.
	name  string
	index int
	kind  pathKind
}

type pathKind uint8

const (
	pathField pathKind = iota
	pathIndex
	pathKey
)

// Field returns the path of a field of p.
func (p *Path) Field(name string) *Path { return &Path{parent: p, name: name} }

// Index returns the path of an element of the list p.
func (p *Path) Index(i int) *Path { return &Path{parent: p, index: i, kind: pathIndex} }

// Key returns the path of the value of a key of the map p.
func (p *Path) Key(key string) *Path { return &Path{parent: p, name: key, kind: pathKey} }

// String returns the path as conditions write it; "" for the root.
func (p *Path) String() string {
	return string(p.append(nil))
}

func (p *Path) append(dst []byte) []byte {
	if p == nil {
		return dst
	}
	dst = p.parent.append(dst)
	switch p.kind {
	case pathIndex:
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(p.index), 10)
		return append(dst, ']')
	case pathKey:
		dst = append(dst, '[')
		dst = append(dst, p.name...)
		return append(dst, ']')
	}
	if len(dst) > 0 {
		dst = append(dst, '.')
	}
	return append(dst, p.name...)
}

// pathSteps splits a path into its field names and what stands in its brackets.
// Brackets inside brackets belong to the key: "headers[@request.auth.claims[a]]".
func pathSteps(field string) []string {
	var steps []string
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			end := closingBracket(field)
			steps = append(steps, field[1:end])
			field = field[min(end+1, len(field)):]
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			steps = append(steps, field[:end])
			field = field[end:]
		}
	}
	return steps
}

// closingBracket returns the index of the bracket that closes s[0], or len(s).
func closingBracket(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}
