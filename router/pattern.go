package router

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern is a regular expression that must match a whole value. Expressions that are
// a text, ".*", or texts around a ".*" are compared as such, without the engine: that
// is most of what people write. A value holds no line break, so "." takes any byte.
type pattern struct {
	// prefix is what every match begins with.
	prefix string
	// Where shape is not general, a match is prefix, then for a gap at least so many
	// bytes of anything, then suffix.
	shape  shape
	gap    int
	suffix string
	// full is the anchored expression, where shape is general.
	full *regexp.Regexp
}

// shape says what kind of expression a pattern is.
type shape uint8

const (
	// general needs the regular expression engine.
	general shape = iota
	// literal is prefix and nothing else.
	literal
	// around is prefix, anything, suffix.
	around
)

// compilePattern compiles an RE2 expression.
func compilePattern(source string) (*pattern, error) {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%w; see https://github.com/google/re2/wiki/Syntax", err)
	}
	p := &pattern{}
	p.analyse(tree.Simplify())
	if p.shape != general {
		return p, nil
	}
	// As the parser understood it: a \Q that nothing closes would take what stands around it.
	p.full, err = regexp.Compile(`^(?:` + tree.String() + `)$`)
	return p, err
}

// analyse finds the pattern's shape and prefix.
func (p *pattern) analyse(tree *syntax.Regexp) {
	parts := flatten(tree, nil)
	for len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	for len(parts) > 0 && endsText(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	p.prefix, parts = leadingText(parts)
	if len(parts) == 0 {
		p.shape = literal
		return
	}
	gap, ok := anything(parts[0])
	suffix, rest := leadingText(parts[1:])
	if ok && len(rest) == 0 {
		p.shape, p.gap, p.suffix = around, gap, suffix
	}
}

// flatten returns the parts of a concatenation, groups opened.
func flatten(tree *syntax.Regexp, parts []*syntax.Regexp) []*syntax.Regexp {
	switch tree.Op {
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range tree.Sub {
			parts = flatten(sub, parts)
		}
	case syntax.OpEmptyMatch:
	default:
		parts = append(parts, tree)
	}
	return parts
}

// leadingText returns the text that the parts begin with, and the other parts.
func leadingText(parts []*syntax.Regexp) (string, []*syntax.Regexp) {
	var text strings.Builder
	for len(parts) > 0 && parts[0].Op == syntax.OpLiteral && parts[0].Flags&syntax.FoldCase == 0 {
		text.WriteString(string(parts[0].Rune))
		parts = parts[1:]
	}
	return text.String(), parts
}

// endsText holds for "$" outside of multi-line mode, and "\z".
func endsText(part *syntax.Regexp) bool { return part.Op == syntax.OpEndText }

// anything says whether a part takes anything, from so many bytes on: ".*" or ".+".
func anything(part *syntax.Regexp) (gap int, ok bool) {
	switch part.Op {
	case syntax.OpStar:
	case syntax.OpPlus:
		gap = 1
	default:
		return 0, false
	}
	of := part.Sub[0].Op
	return gap, of == syntax.OpAnyCharNotNL || of == syntax.OpAnyChar
}

// matches says whether the expression takes the whole value.
func (p *pattern) matches(value string) bool {
	switch p.shape {
	case literal:
		return value == p.prefix
	case around:
		return len(value) >= len(p.prefix)+p.gap+len(p.suffix) &&
			strings.HasPrefix(value, p.prefix) && strings.HasSuffix(value, p.suffix)
	}
	return p.full.MatchString(value)
}
