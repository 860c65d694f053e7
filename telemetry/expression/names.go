package expression

import (
	"slices"
	"strings"
)

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
