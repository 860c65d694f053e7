package chart

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// merge returns base with the values of over in their places: maps are merged key by key,
// anything else is replaced. A null of over takes away what base has, as in Helm; a null
// that base has stays. Neither map is changed.
func merge(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	maps.Copy(out, base)
	for key, value := range over {
		had, ok := out[key]
		inner, isMap := value.(map[string]any)
		switch {
		case isMap:
			below, _ := had.(map[string]any)
			out[key] = merge(below, inner)
		case value == nil && base != nil && (!ok || had != nil):
			delete(out, key)
		default:
			out[key] = value
		}
	}
	return out
}

// ParseValues reads a file of values.
func ParseValues(text []byte) (map[string]any, error) {
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		return nil, err
	}
	return values, nil
}

// ParseSet reads "service.type=NodePort": a path of keys and the indices of lists, and a
// value that is a number, true, false, null, a list in braces ({a,b}) or else text, as
// helm's --set has it. Several are separated by commas; a backslash takes its meaning from a
// dot, a comma or an equals sign. with are the values that stand so far: items of their
// lists that are not named stay.
func ParseSet(text string, with map[string]any) (map[string]any, error) {
	values := merge(nil, with)
	for _, one := range split(text, ',') {
		key, value, ok := cut(one, '=')
		if !ok || key == "" {
			return nil, fmt.Errorf("%q: must be KEY=VALUE, such as service.type=NodePort", one)
		}
		path, err := parsePath(key)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", one, err)
		}
		out, err := put(values, path, parseScalar(value))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", one, err)
		}
		values = out.(map[string]any)
	}
	return values, nil
}

// split cuts text at a separator that is neither behind a backslash nor in braces.
func split(text string, at byte) (parts []string) {
	start, depth := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == at && depth <= 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func cut(text string, at byte) (before, after string, found bool) {
	parts := split(text, at)
	if len(parts) == 1 {
		return text, "", false
	}
	return parts[0], text[len(parts[0])+1:], true
}

func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// maxIndex bounds the lists that --set makes.
const maxIndex = 1000

// parsePath reads "ports[0].name" as keys and indices.
func parsePath(key string) (path []any, err error) {
	for _, part := range split(key, '.') {
		name, indices, _ := strings.Cut(part, "[")
		if name == "" {
			return nil, fmt.Errorf("a key is empty")
		}
		path = append(path, unescape(name))
		for indices != "" {
			number, rest, ok := strings.Cut(indices, "]")
			n, err := strconv.Atoi(number)
			if !ok || err != nil || n < 0 || n > maxIndex || rest != "" && rest[0] != '[' {
				return nil, fmt.Errorf("[%s: must be an index of a list, such as [0]", indices)
			}
			path, indices = append(path, n), strings.TrimPrefix(rest, "[")
		}
	}
	return path, nil
}

func parseScalar(text string) any {
	if inner, ok := strings.CutPrefix(text, "{"); ok && strings.HasSuffix(inner, "}") {
		list := []any{}
		if inner = strings.TrimSuffix(inner, "}"); inner != "" {
			for _, item := range split(inner, ',') {
				list = append(list, parseScalar(item))
			}
		}
		return list
	}
	switch text = unescape(text); text {
	case "true", "false":
		return text == "true"
	case "null":
		return nil
	}
	// A number with leading zeros is text: it would lose them.
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
		return n
	}
	return text
}

// put returns what stands at a place with value at the path below it.
func put(at any, path []any, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch step := path[0].(type) {
	case string:
		m, ok := at.(map[string]any)
		if !ok && at != nil {
			return nil, fmt.Errorf("%s: what is above it is no map", step)
		}
		inner, err := put(m[step], path[1:], value)
		if err != nil {
			return nil, err
		}
		out := maps.Clone(m)
		if out == nil {
			out = make(map[string]any)
		}
		out[step] = inner
		return out, nil
	default:
		index := step.(int)
		list, ok := at.([]any)
		if !ok && at != nil {
			return nil, fmt.Errorf("[%d]: what is above it is no list", index)
		}
		out := append([]any(nil), list...)
		for len(out) <= index {
			out = append(out, nil)
		}
		inner, err := put(out[index], path[1:], value)
		out[index] = inner
		return out, err
	}
}
