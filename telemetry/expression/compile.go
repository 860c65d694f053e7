package expression

import (
	"slices"
	"strings"
)

// node is a piece of a program.
type node interface {
	eval(m *machine) value
}

// compiler makes a program of a tree, checking types on the way.
type compiler struct {
	text              string
	vars              []variable
	headers, trailers []string
	// whole are the maps of a response's headers of which no single one was asked for yet: all
	// of them are never there.
	whole map[*attribute]*expr
}

// variable is that of a macro.
type variable struct {
	name string
	typ  typ
}

// compile makes the program of a text.
func (c *compiler) compile(text string, want Kind) (node, typ, error) {
	if len(text) > maxText {
		return nil, dynType, &Error{Line: 1, Column: 1, Reason: "the expression is longer than 16 KB"}
	}
	c.text = text
	e, err := parse(text)
	if err != nil {
		return nil, dynType, err
	}
	n, t, err := c.expr(e)
	if err != nil {
		return nil, dynType, err
	}
	for _, e := range c.whole {
		return nil, dynType, c.fail(e, "of the headers of a response, single ones can be asked for by a literal name, such as response.headers['content-type']")
	}
	switch want {
	case Condition:
		if !t.may(kindBool) {
			return nil, dynType, c.fail(e, "the expression is of type %s where a condition, true or false, is needed; compare it with something", t)
		}
	case Text:
		if t.kind == kindList || t.kind == kindMap || t.kind == kindNull {
			return nil, dynType, c.fail(e, "the expression is of type %s, which has no text; take one of its values", t)
		}
	}
	return n, t, nil
}

func (c *compiler) fail(e *expr, format string, args ...any) error {
	return (&lexer{text: c.text}).fail(e.pos, format, args...)
}

// expr makes the program of a piece, and returns its type.
func (c *compiler) expr(e *expr) (node, typ, error) {
	switch e.form {
	case formLiteral:
		return constant{e.v}, typeOf(e.v), nil
	case formIdent:
		for i, v := range slices.Backward(c.vars) {
			if v.name == e.name {
				return local(i), v.typ, nil
			}
		}
		return nil, dynType, c.unknownName(e)
	case formSelect:
		return c.selection(e)
	case formOperator:
		return c.operator(e)
	case formCall:
		return c.call(e)
	case formList:
		return c.list(e)
	}
	return c.mapLiteral(e)
}

// each makes the programs of several pieces.
func (c *compiler) each(list []*expr) (nodes []node, types []typ, err error) {
	for _, e := range list {
		n, t, err := c.expr(e)
		if err != nil {
			return nil, nil, err
		}
		nodes, types = append(nodes, n), append(types, t)
	}
	return nodes, types, nil
}

// constant is a value that is known before the program runs.
type constant struct{ v value }

func (n constant) eval(*machine) value { return n.v }

// local is a macro's variable, by its place.
type local int

func (n local) eval(m *machine) value { return m.vars[n] }

// root returns the first name of "request.headers" and so on, unless it is a variable.
func (c *compiler) root(e *expr) string {
	if e.form != formIdent || slices.ContainsFunc(c.vars, func(v variable) bool { return v.name == e.name }) {
		return ""
	}
	return e.name
}

// selection makes the program of "a.b": an attribute, or what a map holds.
func (c *compiler) selection(e *expr) (node, typ, error) {
	if root := c.root(e.args[0]); root != "" {
		return c.attribute(e, root, e.name)
	}
	of, t, err := c.expr(e.args[0])
	if err != nil {
		return nil, dynType, err
	}
	if !t.may(kindMap) {
		return nil, dynType, c.fail(e, ".%s is taken of a %s; only attributes and maps have names", e.name, t)
	}
	c.capture(of, stringValue(e.name))
	return &index{of, constant{stringValue(e.name)}}, t.element(), nil
}

// attribute makes the program of an attribute.
func (c *compiler) attribute(e *expr, root, name string) (node, typ, error) {
	full := root + "." + name
	a, ok := attributes[full]
	if !ok {
		return nil, dynType, c.unknownAttribute(e, root, full)
	}
	if a.headers == responseHeaders || a.headers == responseTrailers {
		if c.whole == nil {
			c.whole = make(map[*attribute]*expr)
		}
		c.whole[&a] = e
	}
	return &a, a.typ, nil
}

func (c *compiler) unknownAttribute(e *expr, root, full string) error {
	var names []string
	for name := range attributes {
		if strings.HasPrefix(name, root+".") {
			names = append(names, name)
		}
	}
	if names == nil {
		return c.unknownName(&expr{pos: e.pos, name: root})
	}
	slices.Sort(names)
	return c.fail(e, "%s is no attribute that is known; there are %s", full, strings.Join(names, ", "))
}

func (c *compiler) unknownName(e *expr) error {
	roots := rootNames()
	if slices.Contains(roots, e.name) {
		return c.fail(e, "%s is no value by itself; name an attribute of it, such as %s", e.name, examples[e.name])
	}
	if slices.Contains(typeNames, e.name) {
		return c.fail(e, "%s is a type, and no value here", e.name)
	}
	return c.fail(e, "%s is not known; attributes begin with %s", e.name, strings.Join(roots, ", "))
}

// rootNames returns what attributes begin with.
func rootNames() (roots []string) {
	for name := range attributes {
		root, _, _ := strings.Cut(name, ".")
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	slices.Sort(roots)
	return roots
}

// capture notes which header of the response is asked for.
func (c *compiler) capture(of node, key value) {
	a, ok := of.(*attribute)
	if !ok || key.kind != kindString {
		return
	}
	delete(c.whole, a)
	name := strings.ToLower(key.s)
	switch {
	case a.headers == responseHeaders && !slices.Contains(c.headers, name):
		c.headers = append(c.headers, name)
	case a.headers == responseTrailers && !slices.Contains(c.trailers, name):
		c.trailers = append(c.trailers, name)
	}
}

// index is "a[b]", and "a.b" of a map.
type index struct{ of, key node }

func (n *index) eval(m *machine) value {
	of := n.of.eval(m)
	key := n.key.eval(m)
	switch {
	case key.kind == kindError:
	case of.kind == kindMap:
		if v, found := mapValue(m, of, key); found {
			return v
		}
	case of.kind == kindList:
		if i, ok := wholeNumber(key); ok && i >= 0 && i < int64(len(of.list)) {
			return of.list[i]
		}
	}
	return failed
}

// wholeNumber returns the int that a number amounts to.
func wholeNumber(v value) (int64, bool) {
	switch {
	case v.kind == kindInt:
		return v.n, true
	case v.kind == kindUint:
		return v.n, v.n >= 0
	case v.kind == kindDouble:
		f := v.double()
		n := int64(f)
		return n, f >= -(1<<53) && f <= 1<<53 && float64(n) == f
	}
	return 0, false
}

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
	return v, n.kind != kindMap || keysDiffer(list)
}

func (n *literal) eval(m *machine) value {
	// Parts may be lists themselves: they go in place once they are all made.
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
	if n.kind == kindMap && !keysDiffer(list) {
		return failed
	}
	return value{kind: n.kind, list: list}
}

// keysDiffer tells whether no key of a map stands in it twice, and all are such that may be
// keys.
func keysDiffer(list []value) bool {
	for i := 0; i < len(list); i += 2 {
		switch list[i].kind {
		case kindBool, kindInt, kindUint, kindString:
		default:
			return false
		}
		for j := 0; j < i; j += 2 {
			if equal(nil, list[i], list[j]).is(true) {
				return false
			}
		}
	}
	return true
}
