package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// flow reads a collection in brackets, up to its closing one.
func (s *scanner) flow() (*yaml.Node, bool) {
	if s.depth++; s.depth > maxDepth {
		return nil, false
	}
	defer func() { s.depth-- }()
	n := s.put(s.at, yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle})
	closing := byte(']')
	if s.text[s.at] == '{' {
		n.Kind, n.Tag, closing = yaml.MappingNode, "!!map", '}'
	}
	s.at++
	mark := len(s.open)
	for {
		if !s.space() {
			return nil, false
		}
		if s.text[s.at] != closing {
			if n.Kind == yaml.MappingNode && !s.flowKey() || !s.flowItem() || !s.space() {
				return nil, false
			}
		}
		switch s.text[s.at] {
		case closing:
			s.at++
			if n.Kind == yaml.MappingNode {
				return n, s.closeMapping(n, mark)
			}
			n.Content = s.collect(mark)
			return n, true
		case ',':
			s.at++
		default:
			return nil, false
		}
	}
}

// flowKey reads a key and what stands between it and its value.
func (s *scanner) flowKey() bool {
	from := s.at
	key, ok := s.word(true)
	if !ok || isMerge(key) {
		return false
	}
	s.spaces()
	if s.peek(s.at) != ':' || s.at-from > maxKey {
		return false
	}
	s.at++
	s.open = append(s.open, key)
	return s.space()
}

// flowItem reads an item of a sequence, or the value of a key.
func (s *scanner) flowItem() bool {
	var n *yaml.Node
	var ok bool
	if c := s.text[s.at]; c == '{' || c == '[' {
		n, ok = s.flow()
	} else {
		n, ok = s.word(true)
	}
	s.open = append(s.open, n)
	return ok
}

// space passes over white space and comments inside of brackets. It returns false at the end of
// the text.
func (s *scanner) space() bool {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ':
			s.at++
		case '\n', '\r':
			s.newLine()
			if s.at < len(s.text) && s.marker() {
				return false
			}
		case '#':
			if before := s.text[s.at-1]; before != ' ' && before != '\n' {
				return false
			}
			if s.comment(); s.at < len(s.text) && s.marker() {
				return false
			}
		case '\t':
			return false
		default:
			return true
		}
	}
	return false
}

// word reads a scalar on one line, quoted or plain. In brackets commas and brackets end plain
// ones.
func (s *scanner) word(flow bool) (*yaml.Node, bool) {
	from := s.at
	switch s.text[s.at] {
	case '"':
		value, ok := s.doubleQuoted()
		return s.put(from, yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value}), ok
	case '\'':
		value, ok := s.singleQuoted()
		return s.put(from, yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.SingleQuotedStyle, Value: value}), ok
	}
	value, ok := s.plain(flow)
	return s.put(from, yaml.Node{Kind: yaml.ScalarNode, Value: value}), ok
}

// doubleQuoted reads a text in double quotes with the escapes that are common.
func (s *scanner) doubleQuoted() (string, bool) {
	from := s.at + 1
	for i := from; i < len(s.text); i++ {
		switch s.text[i] {
		case '"':
			s.at = i + 1
			return s.text[from:i], true
		case '\\':
			return s.escaped(from)
		case '\n':
			return "", false
		}
	}
	return "", false
}

// escaped reads a text with escapes, up to its double quote.
func (s *scanner) escaped(from int) (string, bool) {
	var b strings.Builder
	for i := from; i < len(s.text); i++ {
		c := s.text[i]
		switch c {
		case '"':
			s.at = i + 1
			return b.String(), true
		case '\n':
			return "", false
		case '\\':
			i++
			switch c = s.peek(i); c {
			case '"', '\\':
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			default:
				return "", false
			}
		}
		b.WriteByte(c)
	}
	return "", false
}

// singleQuoted reads a text in single quotes, of which two stand for one.
func (s *scanner) singleQuoted() (string, bool) {
	from, doubled := s.at+1, false
	for i := from; i < len(s.text); i++ {
		switch {
		case s.text[i] == '\n':
			return "", false
		case s.text[i] != '\'':
		case s.peek(i+1) == '\'':
			doubled = true
			i++
		default:
			s.at = i + 1
			value := s.text[from:i]
			if doubled {
				value = strings.ReplaceAll(value, "''", "'")
			}
			return value, true
		}
	}
	return "", false
}

// plain reads a word without quotes.
func (s *scanner) plain(flow bool) (string, bool) {
	from := s.at
	switch s.text[from] {
	case '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '%', '@', '`', '\t':
		return "", false
	case '-':
		if s.blank(from+1) || flow && strings.IndexByte(",?[]{}", s.text[from+1]) >= 0 {
			return "", false
		}
	}
	end, ok := s.plainEnd(from+1, flow)
	s.at = end
	return s.text[from:end], ok
}

// plainEnd returns the end of a plain word, looked for from a place in it on.
func (s *scanner) plainEnd(i int, flow bool) (int, bool) {
	stops := uint8(1)
	if flow {
		stops |= 2
	}
	for ; i < len(s.text); i++ {
		c := s.text[i]
		if endsPlain[c]&stops == 0 {
			continue
		}
		switch c {
		case ' ':
			next := i
			for s.peek(next) == ' ' {
				next++
			}
			if s.plainStops(next, flow) {
				return i, true
			}
			i = next - 1
		case ':':
			if s.blank(i + 1) {
				return i, true
			}
		case '\n', '\r', ',', ']', '}':
			return i, true
		default:
			return i, false
		}
	}
	return i, true
}

// plainStops says whether what stands behind the spaces after a word is no more of it.
func (s *scanner) plainStops(at int, flow bool) bool {
	switch s.peek(at) {
	case '\n', '\r', '#', 0:
		return true
	case ':':
		return s.blank(at + 1)
	case ',', ']', '}':
		return flow
	}
	return false
}

// endsPlain marks the bytes that may end a plain word: with 1 everywhere, with 2 in brackets.
var endsPlain = [256]uint8{
	' ': 1, '\t': 1, '\n': 1, '\r': 1, ':': 1, ',': 2, ']': 2, '}': 2, '[': 2, '{': 2, '?': 2,
}
