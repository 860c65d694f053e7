package ingress

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// prefix begins the names of ingress-nginx' annotations.
const prefix = "nginx.ingress.kubernetes.io/"

// annotations reads those of one Ingress, and collects what is wrong with them. Names are
// without the prefix.
type annotations struct {
	values     map[string]string
	conditions []config.Condition
	// closed: access cannot be restricted as is asked for, so that nobody may come in.
	closed bool
}

func newAnnotations(o *config.Object) *annotations {
	a := &annotations{values: map[string]string{}}
	for name, value := range o.Annotations {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			a.values[short] = strings.TrimSpace(value)
		}
	}
	return a
}

// annotationField is the path of an annotation.
func annotationField(name string) string { return "metadata.annotations[" + prefix + name + "]" }

func (a *annotations) add(severity config.Severity, reason config.Reason, name, format string, args ...any) {
	a.conditions = append(a.conditions, config.Condition{
		Severity: severity, Reason: reason, Field: annotationField(name), Message: fmt.Sprintf(format, args...),
	})
}

// close says that an annotation restricts access and cannot be enforced.
func (a *annotations) close(name, format string, args ...any) {
	a.closed = true
	a.add(config.Error, NotEnforced, name, format+"; so that nobody gets in who must not, the Ingress' paths answer 503", args...)
}

// bad says that an annotation's value means nothing; it is then as if it were not there.
func (a *annotations) bad(name, format string, args ...any) {
	a.add(config.Warning, BadAnnotation, name, "%q: "+format, append([]any{a.values[name]}, args...)...)
}

// text returns an annotation, "" where it is not there.
func (a *annotations) text(name string) string { return a.values[name] }

// first returns the first of several names that is there.
func (a *annotations) first(names ...string) (name, value string) {
	for _, name := range names {
		if value := a.values[name]; value != "" {
			return name, value
		}
	}
	return names[0], ""
}

// flag reads an annotation that is true or false.
func (a *annotations) flag(name string, fallback bool) bool {
	value, ok := a.values[name]
	if !ok {
		return fallback
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		a.bad(name, "must be \"true\" or \"false\"; it counts as %q", strconv.FormatBool(fallback))
		return fallback
	}
	return b
}

// number reads an annotation that is a whole number from low to high.
func (a *annotations) number(name string, fallback, low, high int) int {
	value, ok := a.values[name]
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		a.bad(name, "must be a whole number from %d to %d; it has no effect", low, high)
		return fallback
	}
	return n
}

// list reads an annotation that is a list parted by commas.
func (a *annotations) list(name string) []string {
	var list []string
	for item := range strings.SplitSeq(a.values[name], ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// variables says whether a value has variables of nginx, such as $host, which mean nothing
// here.
func variables(value string) bool {
	for i := 0; i+1 < len(value); i++ {
		if value[i] != '$' {
			continue
		}
		if c := value[i+1]; c == '{' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

// visible says whether all of a value can be seen: nothing in it is a blank, a control character
// or no ASCII at all. So it can stand in a path or a header.
func visible(value string) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

// judge says which annotations have no effect here, restrict access and cannot be enforced,
// or are unknown.
func (a *annotations) judge() {
	for _, name := range slices.Sorted(maps.Keys(a.values)) {
		k, ok := knownAnnotations[name]
		switch {
		case !ok:
			a.unknown(name)
		case k.effect == served:
		case idle(a.values[name]):
		case k.effect == restricts:
			a.close(name, "%s", k.message)
		case k.effect == useless:
			a.add(config.Info, AnnotationNotServed, name, "%s", k.message)
		default:
			a.add(config.Warning, AnnotationNotServed, name, "%s", k.message)
		}
	}
}

// idle says whether a value asks for nothing.
func idle(value string) bool {
	switch strings.ToLower(value) {
	case "", "false", "off", "0":
		return true
	}
	return false
}

func (a *annotations) unknown(name string) {
	if near := decode.Nearest(name, slices.Sorted(maps.Keys(knownAnnotations))); near != "" {
		a.add(config.Warning, UnknownAnnotation, name, "ingress-nginx has no such annotation, and it has no effect: did you mean %s%s?", prefix, near)
		return
	}
	a.add(config.Warning, UnknownAnnotation, name, "ingress-nginx has no such annotation, and it has no effect: remove it")
}
