package kube

import "github.com/sluicegate/sluice/config/jsonscan"

// keep says which fields of a value are kept: all of them where it is nil, else those that it
// names, each as far as it says. Of a list it is about the items.
type keep map[string]keep

// all keeps a whole value.
var all keep

// trim appends to out the value that comes next in s, with the fields that are kept.
func (k keep) trim(s *jsonscan.Scan, out []byte) ([]byte, bool) {
	c := s.Space()
	switch {
	case k != nil && c == '{':
		return k.trimObject(s, out)
	case k != nil && c == '[':
		out = append(out, '[')
		first := true
		ok := s.List(func() (ok bool) {
			if !first {
				out = append(out, ',')
			}
			first = false
			out, ok = k.trim(s, out)
			return ok
		})
		return append(out, ']'), ok
	}
	value, ok := s.Value()
	return append(out, value...), ok
}

func (k keep) trimObject(s *jsonscan.Scan, out []byte) ([]byte, bool) {
	out = append(out, '{')
	first := true
	ok := s.Object(func(name []byte) (ok bool) {
		inner, kept := k[string(name)]
		if !kept {
			_, ok = s.Value()
			return ok
		}
		out = appendName(out, name, first)
		first = false
		out, ok = inner.trim(s, out)
		return ok
	})
	return append(out, '}'), ok
}

func appendName(out, name []byte, first bool) []byte {
	if !first {
		out = append(out, ',')
	}
	out = append(out, '"')
	out = append(out, name...)
	return append(out, '"', ':')
}
