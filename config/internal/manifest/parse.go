package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"go.yaml.in/yaml/v3"
)

// Error is why a text cannot be read.
type Error struct {
	// Line counts from 1 in the text; 0 where it is not known.
	Line int
	// Message says what is wrong and, where there is one, the way out.
	Message string
}

// Error returns the message with its line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// Parse reads text as one document and returns its root, or nil for a document that
// says nothing. The error is always an [*Error]. Values may be parts of one copy of the
// text: who keeps few of them for long clones those.
//
// A text that opens with "{" and is valid JSON is read as JSON: YAML readers differ
// from it in escapes and tabs.
func Parse(text []byte) (*yaml.Node, error) { return new(nodes).parse(text, string(text)) }

// ParseBriefly is [Parse] for who is done with the document soon: its nodes are taken from
// those that were released before, and nobody may change text until the tree is released.
func ParseBriefly(text []byte) (Tree, error) {
	a := pool.Get().(*nodes)
	root, err := a.parse(text, unsafe.String(unsafe.SliceData(text), len(text)))
	return Tree{root, a}, err
}

// parse reads text, which is as well at hand as a string.
func (a *nodes) parse(text []byte, same string) (*yaml.Node, error) {
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		if root, err, ok := a.parseJSON(text, same); ok {
			return root, err
		}
	}
	if root, ok := a.scan(same); ok {
		return root, nil
	}
	return parseYAML(text)
}

func parseYAML(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlError(text, err)
	}
	var more yaml.Node
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, &Error{Line: more.Line, Message: `a second document begins here: put "---" on a line of its own before it`}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(text, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return nil, nil
	}
	return plain(document.Content[0])
}

var (
	yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// yamlError turns an error of the YAML library into ours.
func yamlError(text []byte, err error) *Error {
	message := err.Error()
	match := yamlErrorLine.FindStringSubmatch(message)
	if match == nil {
		return &Error{Message: message}
	}
	line, _ := strconv.Atoi(match[1])
	if line == 0 {
		return &Error{Line: lineAt(text, culprit(text, match[2])), Message: "not YAML: " + match[2]}
	}
	// The library's parser (unlike its scanner) counts from 0; these are its words.
	if strings.HasPrefix(match[2], "did not find expected ") &&
		!strings.Contains(match[2], "alphabetic or numeric") && !strings.Contains(match[2], "whitespace") && !strings.Contains(match[2], "comment or line break") {
		line++
	}
	return &Error{Line: min(line, lineAt(text, len(text))), Message: "not YAML: " + match[2]}
}

// culprit returns the offset of what the YAML library complains about without saying
// where: an alias without anchor, a control character, bytes that are not UTF-8.
func culprit(text []byte, message string) int {
	if anchor := unknownAnchor.FindStringSubmatch(message); anchor != nil {
		return bytes.Index(text, []byte("*"+anchor[1]))
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return i
		}
		i += size
	}
	return 0
}

// lineAt returns the line of an offset, from 1.
func lineAt(text []byte, offset int) int {
	return bytes.Count(text[:max(offset, 0)], []byte("\n")) + 1
}
