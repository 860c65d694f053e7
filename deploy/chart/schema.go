package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// schema is the part of JSON Schema that charts here use.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        types              `json:"type,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	// AdditionalProperties false refuses what Properties has not.
	AdditionalProperties *bool    `json:"additionalProperties,omitempty"`
	Required             []string `json:"required,omitempty"`
	Items                *schema  `json:"items,omitempty"`
	MinProperties        int      `json:"minProperties,omitempty"`
	Minimum              *float64 `json:"minimum,omitempty"`
	Maximum              *float64 `json:"maximum,omitempty"`
	Pattern              string   `json:"pattern,omitempty"`
}

// types are what a value may be: one name, or a list of them.
type types []string

// UnmarshalJSON takes either.
func (t *types) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// check returns what is wrong with a value at a path, each problem in a line.
func (s *schema) check(path string, value any) (problems []string) {
	complain := func(format string, args ...any) {
		where := strings.TrimPrefix(path, ".")
		if where == "" {
			where = "values"
		}
		problems = append(problems, where+": "+fmt.Sprintf(format, args...))
	}
	if kind := typeOf(value); len(s.Type) > 0 && !slices.Contains(s.Type, kind) && !(kind == "integer" && slices.Contains(s.Type, "number")) {
		complain("must be %s, is %s (%s)", strings.Join(s.Type, " or "), kind, show(value))
		return problems
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return show(e) == show(value) }) {
		complain("must be %s, is %s", showAll(s.Enum), show(value))
	}
	switch v := value.(type) {
	case map[string]any:
		problems = append(problems, s.checkMap(path, v)...)
		if len(v) < s.MinProperties {
			complain("must have at least %d", s.MinProperties)
		}
	case []any:
		for i, item := range v {
			if s.Items != nil {
				problems = append(problems, s.Items.check(fmt.Sprintf("%s[%d]", path, i), item)...)
			}
		}
	case string:
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			complain("%q does not match %s", v, s.Pattern)
		}
	default:
		if n, ok := number(value); ok {
			if s.Minimum != nil && n < *s.Minimum {
				complain("must be at least %v, is %v", *s.Minimum, n)
			}
			if s.Maximum != nil && n > *s.Maximum {
				complain("must be at most %v, is %v", *s.Maximum, n)
			}
		}
	}
	return problems
}

func (s *schema) checkMap(path string, m map[string]any) (problems []string) {
	for _, name := range s.Required {
		if _, ok := m[name]; !ok {
			problems = append(problems, strings.TrimPrefix(path+"."+name, ".")+": is missing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := path + "." + name
		if property := s.Properties[name]; property != nil {
			problems = append(problems, property.check(at, m[name])...)
		} else if s.AdditionalProperties != nil && !*s.AdditionalProperties {
			problem := strings.TrimPrefix(at, ".") + ": there is no such value"
			if near := nearest(name, slices.Sorted(maps.Keys(s.Properties))); near != "" {
				problem += "; " + near + " is near it"
			}
			problems = append(problems, problem)
		}
	}
	return problems
}

// typeOf returns the name that JSON Schema has for a value's type. A number without a
// fraction is an integer.
func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		if n, _ := number(v); n != math.Trunc(n) {
			return "number"
		}
		return "integer"
	}
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

func showAll(list []any) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = show(v)
	}
	return strings.Join(words, " or ")
}

// nearest returns the name that a misspelt one is most like, or "".
func nearest(name string, names []string) (best string) {
	least := min(len(name)/2, 3) + 1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the letters to add, take away or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
