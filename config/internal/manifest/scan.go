package manifest

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// scanner reads the part of YAML that nearly all manifests are written in: mappings and
// sequences in blocks and in brackets, words on one line with quotes or without, literal
// blocks, and comments. It makes the nodes that the YAML library makes, an eighth of the
// effort. Whatever else it meets, and whatever is wrong, it leaves to the library: each of its
// methods returns false then, and nothing that was read counts.
type scanner struct {
	*nodes
	text string
	// at is the place of the next byte, start that of its line.
	at, start int
	// line counts from 1.
	line int
	// column is that of the token that nextLine found, from 0; -1 at the end of the text.
	column int
	// wide: the text has characters of several bytes. Then the bytes from start to counted are
	// characters of them.
	wide                bool
	counted, characters int
	depth               int
}

const (
	// maxDepth bounds recursion; the library allows more.
	maxDepth = 100
	// maxKey is a little less than the length a key may have without a mark before it.
	maxKey = 1000
)

// scan reads text as one document. It returns false where that is the library's to do.
func (a *nodes) scan(text string) (*yaml.Node, bool) {
	wide, ok := ordinary(text)
	if !ok {
		return nil, false
	}
	s := scanner{nodes: a, text: text, line: 1, wide: wide}
	if !s.nextLine() || s.column < 0 {
		return nil, false
	}
	root, ok := s.block(-1)
	if !ok || s.column >= 0 || root.Kind == yaml.ScalarNode {
		return nil, false
	}
	return root, true
}

// ordinary says whether text holds only characters that YAML allows and that are no other line
// breaks than LF and CR LF, and whether some of them have several bytes.
func ordinary(text string) (wide, ok bool) {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c >= ' ' && c <= '~', c == '\n', c == '\t', c == '\r' && i+1 < len(text) && text[i+1] == '\n':
			i++
		case c < utf8.RuneSelf:
			return wide, false
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError || r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == 0xfffe || r == 0xffff {
				return wide, false
			}
			wide = true
			i += size
		}
	}
	return wide, true
}

// peek returns the byte at a place, 0 behind the end.
func (s *scanner) peek(at int) byte {
	if at < len(s.text) {
		return s.text[at]
	}
	return 0
}

// blank says whether white space or the end stands at a place.
func (s *scanner) blank(at int) bool {
	switch s.peek(at) {
	case ' ', '\t', '\n', '\r', 0:
		return true
	}
	return false
}

// spaces passes over spaces.
func (s *scanner) spaces() {
	for s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
	}
}

// put makes n a node that stands at a place of the line.
func (s *scanner) put(at int, n yaml.Node) *yaml.Node {
	n.Line, n.Column = s.line, s.columnOf(at)
	return s.node(n)
}

// columnOf returns the column of a place in the line, from 1, in characters. Within a line it is
// asked for places further and further on, and counts each character once.
func (s *scanner) columnOf(at int) int {
	if !s.wide {
		return at - s.start + 1
	}
	if s.counted < s.start || s.counted > at {
		s.counted, s.characters = s.start, 0
	}
	s.characters += utf8.RuneCountInString(s.text[s.counted:at])
	s.counted = at
	return s.characters + 1
}

// newLine passes over a line break.
func (s *scanner) newLine() {
	if s.text[s.at] == '\r' {
		s.at++
	}
	s.at++
	s.line++
	s.start = s.at
}

// endLine passes over the rest of a line, which may be a comment.
func (s *scanner) endLine() bool {
	s.spaces()
	switch s.peek(s.at) {
	case 0:
		return true
	case '\n', '\r':
		s.newLine()
		return true
	case '#':
		if s.at > s.start && s.text[s.at-1] != ' ' {
			return false
		}
		s.comment()
		return true
	}
	return false
}

// comment passes over a comment and its line break.
func (s *scanner) comment() {
	end := strings.IndexByte(s.text[s.at:], '\n')
	if end < 0 {
		s.at = len(s.text)
		return
	}
	s.at += end
	s.newLine()
}

// nextLine passes over empty lines and comments, from the beginning of a line to the next
// token.
func (s *scanner) nextLine() bool {
	for {
		s.spaces()
		switch s.peek(s.at) {
		case 0:
			s.column = -1
			return true
		case '\n', '\r':
			s.newLine()
		case '#':
			s.comment()
		case '\t':
			return false
		default:
			s.column = s.at - s.start
			return s.column > 0 || !s.marker()
		}
	}
}

// marker says whether something stands here, at the beginning of a line, that is about
// documents.
func (s *scanner) marker() bool {
	rest := s.text[s.at:]
	return rest[0] == '%' || strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "...")
}

// finish ends the line of a value, and looks for what follows: it must not stand further to the
// right than parent, the column of the collection that the value is in.
func (s *scanner) finish(n *yaml.Node, parent int) (*yaml.Node, bool) {
	return n, s.endLine() && s.nextLine() && s.column <= parent
}
