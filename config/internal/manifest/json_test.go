package manifest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"
)

// tokens builds the tree of a valid JSON text from the tokens of encoding/json.
type tokens struct {
	text    []byte
	decoder *json.Decoder
	line    int
	offset  int
}

func (b *tokens) value(t *testing.T) *yaml.Node {
	token, err := b.decoder.Token()
	if err != nil {
		t.Fatal(err)
	}
	end := int(b.decoder.InputOffset())
	b.line += bytes.Count(b.text[b.offset:end], []byte("\n"))
	b.offset = end
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: b.line, Column: end}
	switch token := token.(type) {
	case json.Delim:
		n.Kind, n.Style = yaml.SequenceNode, yaml.FlowStyle
		if token == '{' {
			n.Kind = yaml.MappingNode
		}
		for b.decoder.More() {
			n.Content = append(n.Content, b.value(t))
		}
		if _, err := b.decoder.Token(); err != nil {
			t.Fatal(err)
		}
	case string:
		n.Style, n.Value = yaml.DoubleQuotedStyle, token
	case json.Number:
		n.Value = token.String()
	case bool:
		n.Value = strconv.FormatBool(token)
	case nil:
		n.Value = "null"
	}
	return n
}

var jsonTexts = []string{
	"{}", "{\"a\": [1, -2.5e3, true, false, null, \"x\\ty\"], \"b\": {}}", "{\n\t\"a\":\r\n\t[ ],\n\"b\" : [[],{}]\n}\n", "{\"\\u00e9é\":\"\\ud83d\\ude00\\ud83d\"}",
	"{\"a\":\"\xff\"}", "{\"a\":\"\\\\\",\"b\":\"\\\"\"}", " \n{\"<<\": {\"a\": 1}}", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":1,\"\\u0061\":2}", "{\"a\":0}",
}

// sameAsTokens holds that a JSON text is read as encoding/json reads it.
func sameAsTokens(t *testing.T, text []byte) {
	t.Helper()
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return
	}
	root, err, ok := new(nodes).parseJSON(text, string(text))
	if ok != json.Valid(text) {
		t.Fatalf("valid: %v", ok)
	}
	if !ok {
		return
	}
	b := tokens{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	b.decoder.UseNumber()
	want := b.value(t)
	_, wrong := plain(want)
	switch {
	case (err == nil) != (wrong == nil) || err != nil && err.Error() != wrong.Error():
		t.Errorf("got %v, want %v of\n%s", err, wrong, text)
	case err == nil:
		if d := differ(root, want); d != "" {
			t.Errorf("%s in\n%s", d, text)
		}
	}
}

func TestParseJSONReadsAsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range jsonTexts {
		sameAsTokens(t, []byte(text))
	}
}

// FuzzJSON holds our reader of JSON to that of the standard library.
func FuzzJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsTokens(t, text) })
}
