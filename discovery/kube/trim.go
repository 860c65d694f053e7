package kube

// keep says which fields of a value are kept: all of them where it is nil, else those that it
// names, each as far as it says. Of a list it is about the items.
type keep map[string]keep

// all keeps a whole value.
var all keep

// trim appends to out the value that comes next, with the fields that k keeps.
func (s *scan) trim(out []byte, k keep) ([]byte, bool) {
	c := s.space()
	switch {
	case k != nil && c == '{':
		return s.trimObject(out, k)
	case k != nil && c == '[':
		out = append(out, '[')
		first := true
		ok := s.list(func() (ok bool) {
			if !first {
				out = append(out, ',')
			}
			first = false
			out, ok = s.trim(out, k)
			return ok
		})
		return append(out, ']'), ok
	}
	value, ok := s.value()
	return append(out, value...), ok
}

func (s *scan) trimObject(out []byte, k keep) ([]byte, bool) {
	out = append(out, '{')
	first := true
	ok := s.object(func(name []byte) (ok bool) {
		inner, kept := k[string(name)]
		if !kept {
			_, ok = s.value()
			return ok
		}
		out = appendName(out, name, first)
		first = false
		out, ok = s.trim(out, inner)
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
