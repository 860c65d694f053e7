package manifest

import "go.yaml.in/yaml/v3"

// block reads the node that begins here, anywhere in a line, inside a collection at column
// parent. Then s.column is that of what follows.
func (s *scanner) block(parent int) (*yaml.Node, bool) {
	if s.depth++; s.depth > maxDepth {
		return nil, false
	}
	defer func() { s.depth-- }()
	column := s.at - s.start
	switch s.text[s.at] {
	case '-':
		if s.blank(s.at + 1) {
			return s.sequence(column, false)
		}
	case '{', '[', '|':
		return s.inline(parent)
	}
	from := s.at
	n, ok := s.word(false)
	if !ok {
		return nil, false
	}
	if s.isKey(from) {
		return s.mapping(column, n)
	}
	return s.finish(n, parent)
}

// inline reads a value that may stand behind its key, in a mapping at column parent.
func (s *scanner) inline(parent int) (n *yaml.Node, ok bool) {
	switch s.text[s.at] {
	case '{', '[':
		n, ok = s.flow()
	case '|':
		return s.literal(parent)
	default:
		n, ok = s.word(false)
	}
	if !ok {
		return nil, false
	}
	return s.finish(n, parent)
}

// isKey says whether the word that began at a place, and has just been read, is a key, and goes
// on to its colon.
func (s *scanner) isKey(from int) bool {
	at := s.at
	for s.peek(at) == ' ' {
		at++
	}
	if s.peek(at) != ':' || !s.blank(at+1) || at-from > maxKey {
		return false
	}
	s.at = at
	return true
}

// mapping reads a mapping from the colon of its first key on.
func (s *scanner) mapping(column int, key *yaml.Node) (*yaml.Node, bool) {
	m := s.node(yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: key.Line, Column: key.Column})
	mark := len(s.open)
	for {
		value, ok := s.value(column)
		if !ok || isMerge(key) {
			return nil, false
		}
		s.open = append(s.open, key, value)
		if s.column < column {
			return m, s.closeMapping(m, mark)
		}
		if s.column > column {
			return nil, false
		}
		from := s.at
		if key, ok = s.word(false); !ok || !s.isKey(from) {
			return nil, false
		}
	}
}

// closeMapping gives m its children. A key that is there twice is the library's way to report.
func (s *scanner) closeMapping(m *yaml.Node, mark int) bool {
	m.Content = s.collect(mark)
	key, _ := duplicate(m)
	return key == nil
}

// value reads what a key in a mapping at column stands for, from its colon on.
func (s *scanner) value(column int) (*yaml.Node, bool) {
	s.at++
	line, behind := s.line, s.columnOf(s.at)
	if s.spaces(); s.lineEnds() {
		if !s.endLine() || !s.nextLine() {
			return nil, false
		}
		switch {
		case s.column > column:
			return s.block(column)
		case s.column == column && s.text[s.at] == '-' && s.blank(s.at+1):
			return s.sequence(column, true)
		}
		return s.empty(line, behind), true
	}
	return s.inline(column)
}

// lineEnds says whether nothing more stands on the line, or a comment.
func (s *scanner) lineEnds() bool {
	switch s.peek(s.at) {
	case '\n', '\r', '#', 0:
		return true
	}
	return false
}

// empty returns a value that is not there.
func (s *scanner) empty(line, column int) *yaml.Node {
	return s.node(yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: line, Column: column})
}

// sequence reads a sequence from its first dash on. Its mapping, where it has one, may stand at
// the same column: then whatever is no dash ends it.
func (s *scanner) sequence(column int, within bool) (*yaml.Node, bool) {
	n := s.put(s.at, yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	mark := len(s.open)
	for {
		item, ok := s.item(column)
		if !ok {
			return nil, false
		}
		s.open = append(s.open, item)
		dash := s.column == column && s.text[s.at] == '-' && s.blank(s.at+1)
		switch {
		case dash:
		case s.column < column, s.column == column && within:
			n.Content = s.collect(mark)
			return n, true
		default:
			return nil, false
		}
	}
}

// item reads an item of a sequence at column, from its dash on.
func (s *scanner) item(column int) (*yaml.Node, bool) {
	s.at++
	line, behind := s.line, s.columnOf(s.at)
	if s.spaces(); s.lineEnds() {
		if !s.endLine() || !s.nextLine() {
			return nil, false
		}
		if s.column <= column {
			return s.empty(line, behind), true
		}
	}
	return s.block(column)
}
