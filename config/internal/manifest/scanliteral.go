package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// literal reads a block of text behind "|", which may end in one line break ("|"), none ("|-")
// or all that are there ("|+"), in a collection at column parent.
func (s *scanner) literal(parent int) (*yaml.Node, bool) {
	n := s.put(s.at, yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle})
	s.at++
	chomp := s.peek(s.at)
	if chomp == '-' || chomp == '+' {
		s.at++
	} else {
		chomp = 0
	}
	s.spaces()
	if c := s.peek(s.at); c != '\n' && c != '\r' {
		return nil, false
	}
	s.newLine()
	indent, ok := s.literalIndent()
	if !ok || indent <= parent {
		return nil, false
	}
	n.Value, ok = s.literalText(indent, chomp)
	return n, ok && s.nextLine() && s.column <= parent
}

// literalIndent returns the column of the first line that is not empty.
func (s *scanner) literalIndent() (int, bool) {
	for at, deepest := s.at, 0; ; {
		indent := 0
		for s.peek(at) == ' ' {
			at++
			indent++
		}
		deepest = max(deepest, indent)
		switch s.peek(at) {
		case '\r':
			at += 2
		case '\n':
			at++
		case '\t', 0:
			return 0, false
		default:
			return indent, indent == deepest && indent > 0
		}
	}
}

// literalText reads lines that are indented, up to the first that is less.
func (s *scanner) literalText(indent int, chomp byte) (string, bool) {
	var b strings.Builder
	breaks := 0
	for {
		for s.at-s.start < indent && s.peek(s.at) == ' ' {
			s.at++
		}
		c := s.peek(s.at)
		if c == '\n' || c == '\r' {
			breaks++
			s.newLine()
			continue
		}
		if c == 0 || s.at-s.start < indent {
			// nextLine looks at the line again.
			s.at = s.start
			return b.String() + chomped(chomp, breaks), c != '\t'
		}
		b.WriteString(lineBreaks(breaks))
		end := strings.IndexByte(s.text[s.at:], '\n')
		if end < 0 {
			b.WriteString(s.text[s.at:])
			s.at = len(s.text)
			return b.String(), true
		}
		line := strings.TrimSuffix(s.text[s.at:s.at+end], "\r")
		b.WriteString(line)
		s.at += len(line)
		breaks = 1
		s.newLine()
	}
}

// chomped returns what is left of the line breaks at the end of a block.
func chomped(chomp byte, breaks int) string {
	switch chomp {
	case '-':
		return ""
	case '+':
		return lineBreaks(breaks)
	}
	return lineBreaks(min(breaks, 1))
}

// lineBreaks returns n line breaks.
func lineBreaks(n int) string {
	if n == 1 {
		return "\n"
	}
	return strings.Repeat("\n", n)
}
