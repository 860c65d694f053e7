package expression

// list makes the program of "[a, b]".
func (c *compiler) list(e *expr) (node, typ, error) {
	nodes, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	t := typ{kind: kindList, elem: joined(types)}
	l := &literal{kind: kindList, parts: nodes}
	if v, ok := l.constant(); ok {
		return constant{v}, t, nil
	}
	return l, t, nil
}

// mapLiteral makes the program of "{a: b}".
func (c *compiler) mapLiteral(e *expr) (node, typ, error) {
	nodes, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	var keys, elems []typ
	for i := 0; i < len(types); i += 2 {
		switch types[i].kind {
		case kindBool, kindInt, kindUint, kindString, kindDyn:
		default:
			return nil, dynType, c.fail(e.args[i], "a key of a map is a %s; keys are strings, whole numbers or bools", types[i])
		}
		keys, elems = append(keys, types[i]), append(elems, types[i+1])
	}
	t := typ{kind: kindMap, key: joined(keys), elem: joined(elems)}
	l := &literal{kind: kindMap, parts: nodes}
	if v, ok := l.constant(); ok {
		return constant{v}, t, nil
	}
	return l, t, nil
}

// joined returns the type of what may be of any; nil for nothing.
func joined(types []typ) *typ {
	if len(types) == 0 {
		return nil
	}
	t := types[0]
	for _, other := range types[1:] {
		t = join(t, other)
	}
	return &t
}

// literal is a list or a map that is made as the program runs.
type literal struct {
	kind  kind
	parts []node
}

// constant returns the value of one whose parts are known before.
func (n *literal) constant() (value, bool) {
	var list []value
	for _, p := range n.parts {
		c, ok := p.(constant)
		if !ok {
			return failed, false
		}
		list = append(list, c.v)
	}
	v := value{kind: n.kind, list: list}
	return v, n.kind != kindMap || keysDiffer(nil, list)
}

func (n *literal) eval(m *machine) value {
	// Parts may be lists themselves: they go in place once they are all made.
	if !m.spend(len(n.parts) * elementWork) {
		return failed
	}
	at := len(m.list)
	m.list = append(m.list, make([]value, len(n.parts))...)
	for i, p := range n.parts {
		v := p.eval(m)
		if v.kind == kindError {
			return failed
		}
		m.list[at+i] = v
	}
	list := m.list[at : at+len(n.parts) : at+len(n.parts)]
	if n.kind == kindMap && !keysDiffer(m, list) {
		return failed
	}
	return value{kind: n.kind, list: list}
}

// keysDiffer tells whether no key of a map stands in it twice, and all are such that may be
// keys.
func keysDiffer(m *machine, list []value) bool {
	for i := 0; i < len(list); i += 2 {
		switch list[i].kind {
		case kindBool, kindInt, kindUint, kindString:
		default:
			return false
		}
		for j := 0; j < i; j += 2 {
			if v := equal(m, list[i], list[j]); !v.is(false) {
				return false
			}
		}
	}
	return true
}
