package manifest

import (
	"bytes"
	"encoding/json"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads text as JSON. ok is false where it is not JSON.
func parseJSON(text []byte) (root *yaml.Node, err error, ok bool) {
	if !json.Valid(text) {
		return nil, nil, false
	}
	b := jsonBuilder{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	b.decoder.UseNumber()
	if root, err = b.value(); err != nil {
		return nil, err, true
	}
	root, err = plain(root)
	return root, err, true
}

// jsonBuilder turns the tokens of valid JSON into nodes. Their columns count from the
// start of the text, not of the line: see [JSONText].
type jsonBuilder struct {
	text    []byte
	decoder *json.Decoder
	// line is the line of text[offset], both moved forward together.
	line   int
	offset int
}

// value reads the next value.
func (b *jsonBuilder) value() (*yaml.Node, error) {
	token, err := b.decoder.Token()
	if err != nil {
		return nil, &Error{Line: b.line, Message: "not JSON: " + err.Error()}
	}
	end := int(b.decoder.InputOffset())
	b.line += bytes.Count(b.text[b.offset:end], []byte("\n"))
	b.offset = end
	n := &yaml.Node{Line: b.line, Column: end}
	switch token := token.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if token == '{' {
			n.Kind = yaml.MappingNode
		}
		n.Style = yaml.FlowStyle
		return n, b.members(n)
	case string:
		n.Kind, n.Style, n.Tag, n.Value = yaml.ScalarNode, yaml.DoubleQuotedStyle, "!!str", token
	case json.Number:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!float", token.String()
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", strconv.FormatBool(token)
	case nil:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!null", "null"
	}
	return n, nil
}

// members reads what the object or array n holds, and its end.
func (b *jsonBuilder) members(n *yaml.Node) error {
	for b.decoder.More() {
		child, err := b.value()
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := b.decoder.Token()
	return err
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
