package manifest

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads text, at hand as a string too, as JSON. ok is false where it is not JSON.
func (a *nodes) parseJSON(text []byte, same string) (root *yaml.Node, err error, ok bool) {
	if !json.Valid(text) {
		return nil, nil, false
	}
	b := jsonBuilder{nodes: a, text: same, line: 1}
	if root, err = b.value(); err != nil {
		return nil, err, true
	}
	return root, nil, true
}

// jsonBuilder turns valid JSON into nodes. Their columns count from the start of the text, not of
// the line, and are those of the end of a token: see [JSONText].
type jsonBuilder struct {
	*nodes
	text string
	// at is the place of the next byte, and line its line.
	at, line int
}

// next passes over white space, commas and colons, and returns the byte behind them.
func (b *jsonBuilder) next() byte {
	for ; ; b.at++ {
		switch c := b.text[b.at]; c {
		case '\n':
			b.line++
		case ' ', '\t', '\r', ',', ':':
		default:
			return c
		}
	}
}

// value reads the next value.
func (b *jsonBuilder) value() (*yaml.Node, error) {
	switch c := b.next(); c {
	case '{', '[':
		return b.collection(c)
	case '"':
		return b.word()
	}
	from := b.at
	for b.at < len(b.text) && strings.IndexByte(" \t\r\n,:]}", b.text[b.at]) < 0 {
		b.at++
	}
	n := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: b.text[from:b.at], Line: b.line, Column: b.at}
	switch n.Value[0] {
	case 't', 'f':
		n.Tag = "!!bool"
	case 'n':
		n.Tag = "!!null"
	}
	return b.node(n), nil
}

// collection reads an object or an array.
func (b *jsonBuilder) collection(open byte) (*yaml.Node, error) {
	b.at++
	n := b.node(yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Line: b.line, Column: b.at})
	if open == '{' {
		n.Kind = yaml.MappingNode
	}
	mark := len(b.open)
	for {
		if c := b.next(); c == '}' || c == ']' {
			b.at++
			n.Content = b.collect(mark)
			return n, b.refuseDuplicates(n)
		}
		child, err := b.value()
		if err != nil {
			return nil, err
		}
		b.open = append(b.open, child)
	}
}

// refuseDuplicates says which key of an object is there twice.
func (b *jsonBuilder) refuseDuplicates(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	if key, first := duplicate(n); key != nil {
		return twice(key, first)
	}
	return nil
}

// word reads a string.
func (b *jsonBuilder) word() (*yaml.Node, error) {
	from := b.at
	simple := true
	for b.at++; b.text[b.at] != '"'; b.at++ {
		switch c := b.text[b.at]; {
		case c == '\\':
			b.at++
			simple = false
		case c >= utf8.RuneSelf:
			simple = false
		}
	}
	b.at++
	value := b.text[from+1 : b.at-1]
	if !simple {
		if err := json.Unmarshal([]byte(b.text[from:b.at]), &value); err != nil {
			return nil, &Error{Line: b.line, Message: "not JSON: " + err.Error()}
		}
	}
	return b.node(yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Tag: "!!str", Value: value, Line: b.line, Column: b.at}), nil
}

// JSONText returns the part of text that the object n was read from, where text is
// JSON.
func JSONText(text []byte, n *yaml.Node) ([]byte, bool) {
	// The YAML reader gives every mapping a tag, ours does not.
	if n.Kind != yaml.MappingNode || n.Tag != "" || n.Column < 1 || n.Column > len(text) {
		return nil, false
	}
	var raw json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(text[n.Column-1:])).Decode(&raw); err != nil {
		return nil, false
	}
	end := n.Column - 1 + len(raw)
	return text[n.Column-1 : end : end], true
}
