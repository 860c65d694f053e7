package chart

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

// functions are those of Helm's that the charts use, with its meanings.
var functions = template.FuncMap{
	"default": orDefault,
	"quote":   quote,
	"toYaml":  toYAML,
	"indent":  indent,
	"nindent": func(n int, text string) string { return "\n" + indent(n, text) },
	"int64":   toInt64,
	"add":     add,
	"list":    func(items ...any) []any { return items },
	"dict":    dict,
	"kindIs":  func(kind string, value any) bool { return kind == reflect.ValueOf(value).Kind().String() },
	"fail":    func(message string) (string, error) { return "", errors.New(message) },
}

// orDefault returns value, or instead where that is empty, as a template's if has it.
func orDefault(instead any, value ...any) any {
	if len(value) == 0 || value[0] == nil {
		return instead
	}
	if truth, ok := template.IsTrue(value[0]); ok && !truth {
		return instead
	}
	return value[0]
}

func quote(values ...any) string {
	var words []string
	for _, v := range values {
		if v != nil {
			words = append(words, strconv.Quote(fmt.Sprint(v)))
		}
	}
	return strings.Join(words, " ")
}

func toYAML(value any) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

// toInt64 makes an integer of a number; of anything else it makes 0.
func toInt64(value any) int64 {
	switch v := value.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}

func add(values ...any) (sum int64) {
	for _, v := range values {
		sum += toInt64(v)
	}
	return sum
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict needs pairs")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}
