package router

import (
	"fmt"
	"strconv"
	"strings"
)

// Template is a header value: text and Envoy's command operators, such as
// "from %DOWNSTREAM_REMOTE_ADDRESS%". It is parsed when a table is built; the data
// path, which knows the values, puts it together.
type Template struct {
	Segments []Segment
}

// Segment is either literal text or one operator.
type Segment struct {
	// Literal is the text of a segment whose Command is empty.
	Literal string
	// Command is the operator's name, such as "REQ".
	Command string
	// Argument is what stands between the parentheses: "X-REQUEST-ID?:PATH".
	Argument string
	// MaxLength cuts the value to so many bytes; 0 means that it stays whole.
	MaxLength int
}

// Literal returns the value of a template without operators.
func (t Template) Literal() (value string, ok bool) {
	switch {
	case len(t.Segments) == 0:
		return "", true
	case len(t.Segments) == 1 && t.Segments[0].Command == "":
		return t.Segments[0].Literal, true
	}
	return "", false
}

// String returns the template as it may be written.
func (t Template) String() string {
	var b strings.Builder
	for _, s := range t.Segments {
		if s.Command == "" {
			b.WriteString(strings.ReplaceAll(s.Literal, "%", "%%"))
			continue
		}
		b.WriteString("%" + s.Command)
		if s.Argument != "" {
			b.WriteString("(" + s.Argument + ")")
		}
		if s.MaxLength > 0 {
			b.WriteString(":" + strconv.Itoa(s.MaxLength))
		}
		b.WriteByte('%')
	}
	return b.String()
}

// ValidateTemplate says what is wrong with a header value: a percent sign that
// neither begins an operator nor is doubled, or bytes that no header may hold.
// Which operators have a value is the data path's business.
func ValidateTemplate(value string) error {
	_, err := parseTemplate(value)
	return err
}

// parseTemplate reads Envoy's format: %NAME%, %NAME(ARGUMENT)% and
// %NAME(ARGUMENT):LENGTH%, where %% is a percent sign (Envoy, "Access logging:
// format strings", which header values share).
func parseTemplate(value string) (Template, error) {
	if i := strings.IndexFunc(value, notInFieldValue); i >= 0 {
		return Template{}, fmt.Errorf("header value %q holds a control character; take it out", value)
	}
	var t Template
	literal := ""
	for rest := value; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		literal += text
		if !found {
			break
		}
		if after, found = strings.CutPrefix(after, "%"); found {
			literal += "%"
			rest = after
			continue
		}
		segment, length, err := parseOperator(after)
		if err != nil {
			return Template{}, fmt.Errorf("header value %q: %w", value, err)
		}
		if literal != "" {
			t.Segments = append(t.Segments, Segment{Literal: literal})
			literal = ""
		}
		t.Segments = append(t.Segments, segment)
		rest = after[length:]
	}
	if literal != "" {
		t.Segments = append(t.Segments, Segment{Literal: literal})
	}
	return t, nil
}

// parseOperator reads what follows an opening percent sign and returns how many
// bytes it took, the closing percent sign included.
func parseOperator(s string) (Segment, int, error) {
	n := 0
	for n < len(s) && (s[n] == '_' || 'A' <= s[n] && s[n] <= 'Z' || n > 0 && '0' <= s[n] && s[n] <= '9') {
		n++
	}
	if n == 0 {
		return Segment{}, 0, fmt.Errorf("a percent sign begins no %%COMMAND%%; write %%%% for the sign itself")
	}
	segment := Segment{Command: s[:n]}
	if n < len(s) && s[n] == '(' {
		end := strings.IndexByte(s[n:], ')')
		if end < 0 {
			return Segment{}, 0, fmt.Errorf("%%%s( lacks its closing parenthesis", segment.Command)
		}
		segment.Argument = s[n+1 : n+end]
		n += end + 1
	}
	if n < len(s) && s[n] == ':' {
		digits := n + 1
		for n++; n < len(s) && '0' <= s[n] && s[n] <= '9'; n++ {
		}
		length, err := strconv.Atoi(s[digits:n])
		if err != nil || length == 0 {
			return Segment{}, 0, fmt.Errorf("%%%s: wants a length above 0 after the colon", segment.Command)
		}
		segment.MaxLength = length
	}
	if n == len(s) || s[n] != '%' {
		return Segment{}, 0, fmt.Errorf("%%%s lacks its closing percent sign; write %%%% for a percent sign itself", segment.Command)
	}
	return segment, n + 1, nil
}

// notInFieldValue holds for what RFC 9110 section 5.5 forbids in a header's value.
func notInFieldValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
