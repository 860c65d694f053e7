package manifest

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is the JSON type of a scalar.
type Kind uint8

const (
	// String is text.
	String Kind = iota
	// Null is nothing: the field is as good as absent.
	Null
	// Bool is true or false.
	Bool
	// Number is an integer or a decimal.
	Number
)

// String names the kind as people say it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "a boolean"
	case Number:
		return "a number"
	}
	return "a string"
}

const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// Scalar returns the kind of a scalar node and its value as text: "true" or "false"
// for a Bool, JSON's spelling for a Number.
//
// Unquoted words follow YAML 1.1 (https://yaml.org/type/), as kubectl and the API
// server read them.
func Scalar(n *yaml.Node) (Kind, string) {
	if n.Style&yaml.TaggedStyle != 0 {
		return taggedScalar(n)
	}
	if n.Style&quoted != 0 {
		return String, n.Value
	}
	return plainScalar(n.Value)
}

func taggedScalar(n *yaml.Node) (Kind, string) {
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		return plainScalar(n.Value)
	}
	return String, n.Value
}

// plainScalar resolves an unquoted word.
func plainScalar(s string) (Kind, string) {
	if s == "" {
		return Null, ""
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		if number, ok := plainNumber(s); ok {
			return Number, number
		}
		return String, s
	case c == '~' || strings.IndexByte("nNyYtTfFoO", c) >= 0:
		return plainWord(s)
	}
	return String, s
}

func plainWord(s string) (Kind, string) {
	switch s {
	case "~", "null", "Null", "NULL":
		return Null, ""
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return Bool, "true"
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return Bool, "false"
	}
	return String, s
}

var (
	decimal = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	// jsonNumber is RFC 8259 section 6.
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// plainNumber returns a number in JSON's spelling. Underscores separate digits; 0x,
// 0b, 0o and a leading 0 choose the base; infinities and NaN have no JSON.
func plainNumber(s string) (string, bool) {
	if isDigits(s) {
		return s, true
	}
	if strings.Trim(s, "0123456789_.+-xXoObBaAcCdDeEfF") != "" {
		return "", false // which is cheaper to see than to have refused below
	}
	s = strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), true
	}
	if u, err := strconv.ParseUint(s, 0, 64); err == nil {
		return strconv.FormatUint(u, 10), true
	}
	if !decimal.MatchString(s) {
		return "", false
	}
	if jsonNumber.MatchString(s) {
		return s, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", false
	}
	b, err := json.Marshal(f)
	return string(b), err == nil
}

// isDigits reports whether s is a decimal integer as JSON writes it, and short
// enough for 64 bits: by far the most common number.
func isDigits(s string) bool {
	if len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
