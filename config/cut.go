package config

import (
	"bytes"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

// cutter cuts the text of a List into the texts of its items, so that each item
// keeps its own lines and comments. Where that cannot be done safely (aliases, which
// point out of the item; items that begin with something else than a key) an item's
// text is written anew, as JSON on one line.
type cutter struct {
	text  []byte
	items []*yaml.Node
	// lines holds the offset of each line of text; nil where cutting is not safe.
	lines []int
}

func newCutter(text []byte, items *yaml.Node) *cutter {
	c := &cutter{text: text, items: items.Content}
	if items.Style&yaml.FlowStyle != 0 || oddBreaks(text) {
		return c
	}
	for _, item := range items.Content {
		if item.Kind != yaml.MappingNode || item.Style&(yaml.FlowStyle|yaml.TaggedStyle) != 0 || hasAnchor(item) {
			return c
		}
	}
	c.lines = []int{0}
	for i, b := range text {
		if b == '\n' {
			c.lines = append(c.lines, i+1)
		}
	}
	return c
}

// item returns the text of the i-th item and the line where it starts.
func (c *cutter) item(i int) ([]byte, int) {
	item := c.items[i]
	if text, ok := manifest.JSONText(c.text, item); ok {
		return text, item.Line
	}
	if text, ok := c.cut(i); ok {
		return text, item.Line
	}
	return manifest.AppendJSON(nil, item), item.Line
}

// cut returns the lines of the i-th item, its dash replaced by a space.
func (c *cutter) cut(i int) ([]byte, bool) {
	if c.lines == nil {
		return nil, false
	}
	item := c.items[i]
	if !c.dashed(item) {
		return nil, false
	}
	first := item.Line - 1
	last := c.endOf(first, item.Column-1)
	if i+1 < len(c.items) {
		if !c.dashed(c.items[i+1]) {
			return nil, false
		}
		last = c.items[i+1].Line - 1
	}
	end := len(c.text)
	if last < len(c.lines) {
		end = c.lines[last]
	}
	return blank(c.text[c.lines[first]:end], item.Column-1), true
}

// dashed reports whether item starts on its line right after its dash.
func (c *cutter) dashed(item *yaml.Node) bool {
	if item.Line < 1 || item.Line > len(c.lines) {
		return false
	}
	line := c.text[c.lines[item.Line-1]:]
	column := item.Column - 1
	if column < 1 || column > len(line) {
		return false
	}
	before := bytes.TrimLeft(line[:column], " ")
	return len(before) > 0 && before[0] == '-' && len(bytes.TrimLeft(before[1:], " ")) == 0
}

// endOf returns the index of the first line after line first that stands left of
// column and so belongs to what encloses the item. Comments and blank lines may
// stand anywhere.
func (c *cutter) endOf(first, column int) int {
	for i := first + 1; i < len(c.lines); i++ {
		line := c.text[c.lines[i]:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		content := bytes.TrimLeft(line, " ")
		indent := len(line) - len(content)
		content = bytes.TrimRight(content, "\r\t ")
		if len(content) > 0 && content[0] != '#' && indent < column {
			return i
		}
	}
	return len(c.lines)
}

// oddBreaks reports whether text has line breaks that YAML counts and we do not: a
// carriage return alone, NEL, LS and PS.
func oddBreaks(text []byte) bool {
	for i, b := range text {
		switch b {
		case '\r':
			if i+1 == len(text) || text[i+1] != '\n' {
				return true
			}
		case 0xc2:
			if bytes.HasPrefix(text[i:], []byte("\u0085")) {
				return true
			}
		case 0xe2:
			if bytes.HasPrefix(text[i:], []byte("\u2028")) || bytes.HasPrefix(text[i:], []byte("\u2029")) {
				return true
			}
		}
	}
	return false
}

// hasAnchor reports whether n or anything in it has an anchor. An alias has been
// replaced by the anchored node, so this finds both.
func hasAnchor(n *yaml.Node) bool {
	if n.Anchor != "" {
		return true
	}
	for _, child := range n.Content {
		if hasAnchor(child) {
			return true
		}
	}
	return false
}
