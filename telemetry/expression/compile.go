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
