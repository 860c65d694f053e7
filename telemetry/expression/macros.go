package expression

// macro makes the program of has(a.b), and of a.all(x, p) and the like; found is false where
// the call is none of them.
func (c *compiler) macro(e *expr) (n node, t typ, found bool, err error) {
	switch {
	case !e.method && e.name == "has":
		n, err = c.has(e)
		return n, boolType, true, err
	case !e.method:
		return nil, dynType, false, nil
	}
	var kind macroKind
	switch e.name {
	case "all":
		kind = macroAll
	case "exists":
		kind = macroExists
	case "exists_one", "existsOne":
		kind = macroExistsOne
	case "map":
		kind = macroMap
	case "filter":
		kind = macroFilter
	default:
		return nil, dynType, false, nil
	}
	n, t, err = c.loop(e, kind)
	return n, t, true, err
}

// has makes the program that tells whether there is an attribute, or a key.
func (c *compiler) has(e *expr) (node, error) {
	if len(e.args) != 1 || e.args[0].form != formSelect {
		return nil, c.fail(e, "has() takes a selection, such as has(request.referer); for a header write 'x-name' in request.headers")
	}
	field := e.args[0]
	n, _, err := c.selection(field)
	if err != nil {
		return nil, err
	}
	if i, ok := n.(*index); ok {
		return &presence{i.of, field.name}, nil
	}
	return &attributePresence{n}, nil
}

// attributePresence tells whether there is an attribute.
type attributePresence struct{ of node }

func (n *attributePresence) eval(m *machine) value {
	return boolValue(n.of.eval(m).kind != kindError)
}

// presence tells whether a map has a key.
type presence struct {
	of  node
	key string
}

func (n *presence) eval(m *machine) value {
	of := n.of.eval(m)
	switch of.kind {
	case kindError:
		return failed
	case kindMap:
		_, found := mapValue(m, of, stringValue(n.key))
		return boolValue(found)
	}
	return falseVal
}

// macroKind says what a loop comes to.
type macroKind uint8

const (
	macroAll macroKind = iota
	macroExists
	macroExistsOne
	macroMap
	macroFilter
)

// loop makes the program of a.all(x, p), where a is a list or a map, whose keys x goes through.
func (c *compiler) loop(e *expr, kind macroKind) (node, typ, error) {
	if n := len(e.args); n != 3 && (kind != macroMap || n != 4) || e.args[1].form != formIdent {
		return nil, dynType, c.fail(e, "%s() takes a name and an expression of it, such as list.%s(x, x == 1)", e.name, e.name)
	}
	of, t, err := c.expr(e.args[0])
	if err != nil {
		return nil, dynType, err
	}
	v := variable{name: e.args[1].name}
	switch t.kind {
	case kindList:
		v.typ = t.element()
	case kindMap:
		v.typ = t.mapKey()
	case kindDyn:
		v.typ = dynType
	default:
		return nil, dynType, c.fail(e, "%s() goes through lists and maps, and this is a %s", e.name, t)
	}
	l := &loop{of: of, kind: kind, slot: len(c.vars)}
	c.vars = append(c.vars, v)
	defer func() { c.vars = c.vars[:l.slot] }()
	body, types, err := c.each(e.args[2:])
	if err != nil {
		return nil, dynType, err
	}
	if l.body = body[len(body)-1]; kind != macroMap || len(body) == 2 {
		if !types[0].may(kindBool) {
			return nil, dynType, c.fail(e.args[2], "%s() needs a condition here, and this is a %s", e.name, types[0])
		}
		l.test = body[0]
	}
	switch kind {
	case macroMap:
		return l, typ{kind: kindList, elem: &types[len(types)-1]}, nil
	case macroFilter:
		return l, typ{kind: kindList, elem: &v.typ}, nil
	}
	return l, boolType, nil
}

// loop runs test and body once for each element.
type loop struct {
	of, test, body node
	kind           macroKind
	slot           int
}

// tally is what a loop has come to so far.
type tally struct {
	hits    int
	failed  bool // somewhere
	decided bool // all is false, or exists true
	list    int  // where the list that is made begins in the machine's
}

func (n *loop) eval(m *machine) value {
	of := n.of.eval(m)
	if of.kind != kindList && of.kind != kindMap {
		return failed
	}
	size := len(of.list)
	if of.kind == kindMap {
		size = mapSize(m, of)
	}
	t := tally{list: len(m.list)}
	if n.kind == macroMap || n.kind == macroFilter {
		if !m.spend(size * elementWork) {
			return failed
		}
		m.list = append(m.list, make([]value, size)...)
	}
	m.vars = append(m.vars, failed)
	if of.kind == kindList {
		for i := 0; i < len(of.list) && n.step(m, of.list[i], &t); i++ {
		}
	} else {
		eachKey(m, of, func(key value) bool { return n.step(m, key, &t) })
	}
	m.vars = m.vars[:n.slot]
	return n.result(m, t)
}

// step goes through one element; it returns false where the rest does not matter.
func (n *loop) step(m *machine, element value, t *tally) bool {
	if !m.spend(bodyWork) {
		return false
	}
	m.vars[n.slot] = element
	test := trueVal
	if n.test != nil {
		test = n.test.eval(m)
	}
	if test.kind != kindBool {
		t.failed = true
		// What follows may decide all and exists, nothing the others.
		return n.kind == macroAll || n.kind == macroExists
	}
	switch {
	case test.is(false) && n.kind == macroAll:
		t.decided = true
	case test.is(false):
	case n.kind == macroExists:
		t.decided = true
	case n.kind == macroMap:
		element = n.body.eval(m)
		if element.kind == kindError {
			t.failed = true
			return false
		}
		fallthrough
	case n.kind == macroFilter:
		m.list[t.list+t.hits] = element
		t.hits++
	default:
		t.hits++
	}
	return !t.decided
}

// result returns what a loop has come to.
func (n *loop) result(m *machine, t tally) value {
	switch {
	case t.decided:
		return boolValue(n.kind == macroExists)
	case t.failed:
		return failed
	}
	switch n.kind {
	case macroAll:
		return trueVal
	case macroExists:
		return falseVal
	case macroExistsOne:
		return boolValue(t.hits == 1)
	}
	return value{kind: kindList, list: m.list[t.list : t.list+t.hits : t.list+t.hits]}
}
