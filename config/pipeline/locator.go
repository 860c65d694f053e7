package pipeline

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// ReasonNotRoutable: the router could not take a part of what was compiled, such as
// an expression that is not RE2. That part is not in force.
const ReasonNotRoutable config.Reason = "NotRoutable"

// locator turns the router's problems into conditions that say where to look.
type locator struct {
	// found remembers the lines of fields, which are costly to find.
	found map[field]int
}

// field is a place in an object.
type field struct {
	object *config.Object
	path   string
}

// locate returns problems as conditions of objects in force; lines are where of them
// stand that have moved since they were read.
func (l *locator) locate(problems []router.Problem, inForce *config.Keyed[*config.Object], lines map[config.Key]int) []config.Condition {
	var groups []string
	if len(problems) > 0 {
		groups = groupsOf(inForce)
	}
	found := make(map[field]int)
	all := make([]config.Condition, 0, len(problems))
	for _, p := range problems {
		c := config.Condition{
			Severity: config.Error, Reason: ReasonNotRoutable, Field: p.Origin.Field, Message: p.Message,
			Object: config.Key{Kind: p.Origin.Kind, Namespace: p.Origin.Namespace, Name: p.Origin.Name},
		}
		if o := object(c.Object, groups, inForce); o != nil {
			at := field{o, c.Field}
			line, known := l.found[at]
			if !known {
				line = o.Locate(c.Field)
			}
			found[at] = line
			if now, moved := lines[o.Key]; moved {
				line += now - o.Line
			}
			c.Object, c.File, c.Line = o.Key, o.File, line
		}
		all = append(all, c)
	}
	l.found = found
	return all
}

// groupsOf returns the API groups there are, in order.
func groupsOf(inForce *config.Keyed[*config.Object]) []string {
	groups := make(map[string]bool)
	for o := range inForce.All() {
		groups[o.Group] = true
	}
	return slices.Sorted(maps.Keys(groups))
}

// object finds the object that a key without its group means: the router names
// objects so.
func object(key config.Key, groups []string, inForce *config.Keyed[*config.Object]) *config.Object {
	for _, group := range groups {
		key.Group = group
		if o := inForce.Get(key); o != nil {
			return o
		}
	}
	return nil
}

// join returns conditions in order of file and line, each once.
func join(lists ...[]config.Condition) []config.Condition {
	all := slices.Concat(lists...)
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

func compare(a, b config.Condition) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), compareKeys(a.Object, b.Object),
		cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message))
}
