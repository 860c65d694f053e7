package expression

// operator makes the program of "a + b" and the like.
func (c *compiler) operator(e *expr) (node, typ, error) {
	if root := c.root(e.args[0]); e.name == "[]" && root != "" && e.args[1].v.kind == kindString {
		return c.attribute(e, root, e.args[1].v.s)
	}
	nodes, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	switch e.name {
	case "&&", "||":
		for i, t := range types {
			if !t.may(kindBool) {
				return nil, dynType, c.fail(e.args[i], "%s needs conditions on both sides, and one is a %s; compare it with something", e.name, t)
			}
		}
		return &logical{nodes[0], nodes[1], e.name == "||"}, boolType, nil
	case "?":
		if !types[0].may(kindBool) {
			return nil, dynType, c.fail(e.args[0], "a condition stands before ?, and this is a %s", types[0])
		}
		return &choice{nodes[0], nodes[1], nodes[2]}, join(types[1], types[2]), nil
	case "!":
		if !types[0].may(kindBool) {
			return nil, dynType, c.fail(e, "! needs a condition, and this is a %s", types[0])
		}
		return &not{nodes[0]}, boolType, nil
	case "[]":
		return c.index(e, nodes, types)
	case "==", "!=":
		if !mayEqual(types[0], types[1]) {
			return nil, dynType, c.fail(e, "%s compares a %s with a %s, which are never equal%s", e.name, types[0], types[1], convertHint(types[0], types[1]))
		}
		return &equality{nodes[0], nodes[1], e.name == "!="}, boolType, nil
	case "in":
		return c.in(e, nodes, types)
	case "<", "<=", ">", ">=":
		if !ordered(types[0], types[1]) {
			return nil, dynType, c.fail(e, "%s compares a %s with a %s, which have no order%s", e.name, types[0], types[1], convertHint(types[0], types[1]))
		}
		return &ordering{nodes[0], nodes[1], e.name}, boolType, nil
	}
	if len(nodes) == 1 { // "-"
		if t := types[0]; !t.may(kindInt) && !t.may(kindDouble) {
			return nil, dynType, c.fail(e, "- needs an int or a double, and this is a %s", t)
		}
		return &negation{nodes[0]}, types[0], nil
	}
	t, ok := arithmeticType(e.name, types[0], types[1])
	if !ok {
		return nil, dynType, c.fail(e, "%s is not defined for a %s and a %s%s", e.name, types[0], types[1], convertHint(types[0], types[1]))
	}
	return &arithmetic{nodes[0], nodes[1], e.name[0]}, t, nil
}

// convertHint says how values of different types are made one.
func convertHint(a, b typ) string {
	switch {
	case a.kind == kindString && b.isNumber(), b.kind == kindString && a.isNumber():
		return "; a number has no quotes, int(...) makes one of a string, string(...) a string of a number"
	case a.isNumber() && b.isNumber() && a.kind != b.kind:
		return "; int(...), uint(...) and double(...) convert"
	case a.kind == kindDuration && b.isNumber(), b.kind == kindDuration && a.isNumber():
		return "; durations are written duration('1.5s')"
	}
	return ""
}

func (c *compiler) index(e *expr, nodes []node, types []typ) (node, typ, error) {
	switch of, key := types[0], types[1]; {
	case of.kind == kindDyn:
	case of.kind == kindList:
		if !key.isNumber() && key.kind != kindDyn {
			return nil, dynType, c.fail(e.args[1], "a list is indexed by a number, from 0, and this is a %s", key)
		}
	case of.kind == kindMap:
		if !mayEqual(key, of.mapKey()) {
			return nil, dynType, c.fail(e.args[1], "the keys of this map are of type %s, and this is a %s", of.mapKey(), key)
		}
	default:
		return nil, dynType, c.fail(e, "a %s has nothing to index; lists and maps have", of)
	}
	if k, ok := nodes[1].(constant); ok {
		c.capture(nodes[0], k.v)
	}
	return &index{nodes[0], nodes[1]}, types[0].element(), nil
}

func (c *compiler) in(e *expr, nodes []node, types []typ) (node, typ, error) {
	switch of := types[1]; {
	case of.kind == kindDyn:
	case of.kind == kindList && mayEqual(types[0], of.element()):
	case of.kind == kindMap && mayEqual(types[0], of.mapKey()):
	case of.kind == kindList || of.kind == kindMap:
		return nil, dynType, c.fail(e, "a %s is never in a %s%s", types[0], of, convertHint(types[0], of.element()))
	default:
		return nil, dynType, c.fail(e, "in needs a list or a map on its right, and this is a %s; for a part of a string write a.contains(b)", of)
	}
	if k, ok := nodes[0].(constant); ok {
		c.capture(nodes[1], k.v)
	}
	return &membership{nodes[0], nodes[1]}, boolType, nil
}

// logical is "&&" or "||": either side may decide, an error on the other notwithstanding.
type logical struct {
	a, b node
	or   bool
}

func (n *logical) eval(m *machine) value {
	a := n.a.eval(m)
	if a.is(n.or) {
		return a
	}
	b := n.b.eval(m)
	switch {
	case b.is(n.or):
		return b
	case a.kind == kindBool && b.kind == kindBool:
		return boolValue(!n.or)
	}
	return failed
}

// choice is "a ? b : c".
type choice struct{ test, yes, no node }

func (n *choice) eval(m *machine) value {
	switch test := n.test.eval(m); {
	case test.is(true):
		return n.yes.eval(m)
	case test.is(false):
		return n.no.eval(m)
	}
	return failed
}

type not struct{ a node }

func (n *not) eval(m *machine) value {
	if a := n.a.eval(m); a.kind == kindBool {
		return boolValue(a.n == 0)
	}
	return failed
}

type equality struct {
	a, b node
	not  bool
}

func (n *equality) eval(m *machine) value {
	v := equal(m, n.a.eval(m), n.b.eval(m))
	if n.not && v.kind == kindBool {
		return boolValue(v.n == 0)
	}
	return v
}

type membership struct{ a, in node }

func (n *membership) eval(m *machine) value {
	a, in := n.a.eval(m), n.in.eval(m)
	switch {
	case a.kind == kindError:
	case in.kind == kindMap:
		if a.kind == kindBytes || a.kind == kindList || a.kind == kindMap {
			return failed // these are no keys
		}
		_, found := mapValue(m, in, a)
		return boolValue(found)
	case in.kind == kindList:
		for i := range in.list {
			if equal(m, a, in.list[i]).is(true) {
				return trueVal
			}
		}
		return falseVal
	}
	return failed
}

// ordered tells whether values of two types can be compared by "<".
func ordered(a, b typ) bool {
	switch {
	case a.kind == kindList, a.kind == kindMap, a.kind == kindNull, b.kind == kindList, b.kind == kindMap, b.kind == kindNull:
		return false
	case a.kind == kindDyn || b.kind == kindDyn, a.isNumber() && b.isNumber():
		return true
	}
	return a.kind == b.kind
}

type ordering struct {
	a, b node
	name string
}

func (n *ordering) eval(m *machine) value {
	a, b := n.a.eval(m), n.b.eval(m)
	order, ok := compare(a, b)
	if !ok {
		return boolOrFailed(a.isNumber() && b.isNumber()) // not a number
	}
	switch n.name {
	case "<":
		return boolValue(order < 0)
	case "<=":
		return boolValue(order <= 0)
	case ">":
		return boolValue(order > 0)
	}
	return boolValue(order >= 0)
}

// boolOrFailed returns false where the answer is known, else an error.
func boolOrFailed(known bool) value {
	if known {
		return falseVal
	}
	return failed
}
