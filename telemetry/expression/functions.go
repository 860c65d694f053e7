package expression

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// function is one that expressions may call.
type function struct {
	// plain and method say how: f(a, b) and a.f(b).
	plain, method bool
	overloads     []overload
}

// overload is a function for arguments of certain kinds; kindDyn takes any.
type overload struct {
	params []kind
	result kind
	run    func(m *machine, a, b value) value
}

// functions are those of CEL's standard library, but for type(). matches and what takes a time
// zone are compiled by themselves.
var functions = map[string]function{
	"size": {true, true, []overload{
		{[]kind{kindString}, kindInt, func(_ *machine, a, _ value) value { return intValue(int64(utf8.RuneCountInString(a.s))) }},
		{[]kind{kindBytes}, kindInt, func(_ *machine, a, _ value) value { return intValue(int64(len(a.s))) }},
		{[]kind{kindList}, kindInt, func(_ *machine, a, _ value) value { return intValue(int64(len(a.list))) }},
		{[]kind{kindMap}, kindInt, func(m *machine, a, _ value) value { return intValue(int64(mapSize(m, a))) }},
	}},
	"contains":   onStrings(strings.Contains),
	"startsWith": onStrings(strings.HasPrefix),
	"endsWith":   onStrings(strings.HasSuffix),
	"int":        conversion(kindInt, toInt, kindInt, kindUint, kindDouble, kindString, kindTime, kindDuration),
	"uint":       conversion(kindUint, toUint, kindInt, kindUint, kindDouble, kindString),
	"double":     conversion(kindDouble, toDouble, kindInt, kindUint, kindDouble, kindString),
	"bool":       conversion(kindBool, toBool, kindBool, kindString),
	"string":     conversion(kindString, toString, kindBool, kindInt, kindUint, kindDouble, kindString, kindBytes, kindTime, kindDuration),
	"bytes":      conversion(kindBytes, toBytes, kindString, kindBytes),
	"timestamp":  conversion(kindTime, toTime, kindString, kindInt, kindTime),
	"duration":   conversion(kindDuration, toDuration, kindString, kindDuration),
	"dyn":        conversion(kindDyn, func(_ *machine, a value) value { return a }, kindDyn),
}

func onStrings(test func(s, part string) bool) function {
	return function{false, true, []overload{{[]kind{kindString, kindString}, kindBool, func(m *machine, a, b value) value {
		if !m.spend(len(a.s) / 16) {
			return failed
		}
		return boolValue(test(a.s, b.s))
	}}}}
}

func conversion(to kind, run func(m *machine, a value) value, from ...kind) function {
	f := function{plain: true}
	for _, k := range from {
		f.overloads = append(f.overloads, overload{[]kind{k}, to, func(m *machine, a, _ value) value { return run(m, a) }})
	}
	return f
}

// call makes the program of f(a) and a.f(b).
func (c *compiler) call(e *expr) (node, typ, error) {
	if n, t, found, err := c.macro(e); found {
		return n, t, err
	}
	_, isParts := timeParts[e.name]
	f, found := functions[e.name]
	switch {
	case e.name == "matches":
		return c.matches(e)
	case isParts && e.method:
		return c.timePart(e)
	case found && (e.method && f.method || !e.method && f.plain):
	case found && f.plain:
		return nil, dynType, c.fail(e, "%s is called with its argument in brackets: %s(...)", e.name, e.name)
	case found, isParts:
		return nil, dynType, c.fail(e, "%s is called on what it is asked of: x.%s(...)", e.name, e.name)
	default:
		return nil, dynType, c.fail(e, "there is no function %s; there are %s", e.name, strings.Join(functionNames(), ", "))
	}
	args, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	var fit []overload
	for _, o := range f.overloads {
		if len(o.params) == len(types) && o.fits(types) {
			fit = append(fit, o)
		}
	}
	if fit == nil {
		return nil, dynType, c.fail(e, "%s() does not take %s; it takes %s", e.name, describe(types), f.takes())
	}
	n := &invocation{overloads: fit, a: args[0]}
	if len(args) > 1 {
		n.b = args[1]
	}
	if k, ok := n.a.(constant); ok && n.b == nil && fit[0].result != kindDyn {
		return c.folded(e, k.v, fit)
	}
	return n, typ{kind: fit[0].result}, nil
}

// folded runs a function of a constant right away, so that one that fails is told of.
func (c *compiler) folded(e *expr, a value, fit []overload) (node, typ, error) {
	for _, o := range fit {
		if o.params[0] != a.kind {
			continue
		}
		v := o.run(&machine{}, a, failed)
		if v.kind == kindError {
			return nil, dynType, c.fail(e, "%s() cannot make a %s of %s", e.name, kindNames[o.result], literalText(a))
		}
		return constant{v}, typ{kind: o.result}, nil
	}
	return constant{failed}, dynType, nil
}

func literalText(v value) string {
	if v.kind == kindString {
		return "'" + v.s + "'"
	}
	text, _ := appendText(nil, v)
	return string(text)
}

func (o overload) fits(types []typ) bool {
	for i, k := range o.params {
		if k != kindDyn && !types[i].may(k) {
			return false
		}
	}
	return true
}

// takes says what a function takes, for people.
func (f function) takes() string {
	var list []string
	for _, o := range f.overloads {
		var names []string
		for _, k := range o.params {
			names = append(names, kindNames[k])
		}
		list = append(list, strings.Join(names, " and "))
	}
	return strings.Join(list, ", ")
}

func describe(types []typ) string {
	if len(types) == 0 {
		return "nothing"
	}
	var names []string
	for _, t := range types {
		names = append(names, t.String())
	}
	return strings.Join(names, " and ")
}

func functionNames() (names []string) {
	names = []string{"matches", "has", "all", "exists", "exists_one", "filter", "map"}
	for name := range functions {
		names = append(names, name)
	}
	for name := range timeParts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// invocation calls the overload for the arguments that it meets.
type invocation struct {
	overloads []overload
	a, b      node // b is nil for one argument
}

func (n *invocation) eval(m *machine) value {
	a := n.a.eval(m)
	b := failed
	if n.b != nil {
		if b = n.b.eval(m); b.kind == kindError {
			return failed
		}
	}
	if a.kind == kindError {
		return failed
	}
	for i := range n.overloads {
		o := &n.overloads[i]
		if (o.params[0] == a.kind || o.params[0] == kindDyn) && (n.b == nil || o.params[1] == b.kind) {
			return o.run(m, a, b)
		}
	}
	return failed
}

// matches makes the program of a.matches(pattern), and of matches(a, pattern).
func (c *compiler) matches(e *expr) (node, typ, error) {
	if len(e.args) != 2 {
		return nil, dynType, c.fail(e, "matches() takes a string and a pattern: request.path.matches('^/api/')")
	}
	nodes, types, err := c.each(e.args)
	if err != nil {
		return nil, dynType, err
	}
	if !types[0].may(kindString) {
		return nil, dynType, c.fail(e, "matches() needs a string, and this is a %s", types[0])
	}
	pattern, ok := nodes[1].(constant)
	if !ok || pattern.v.kind != kindString {
		return nil, dynType, c.fail(e.args[1], "the pattern of matches() must be a literal string")
	}
	size, err := patternSize(pattern.v.s)
	if err == nil && size > maxPattern {
		return nil, dynType, c.fail(e.args[1], "the pattern is too large: it comes to %d instructions, of which %d are taken", size, maxPattern)
	}
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile(pattern.v.s)
	}
	if err != nil {
		return nil, dynType, c.fail(e.args[1], "the pattern is none of RE2: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return &match{nodes[0], re, 1 + size/patternStep}, boolType, nil
}

// maxPattern bounds the instructions of a pattern, as Envoy's RE2 does: "x{1000}" has a thousand.
// A text costs so much more with each patternStep of them.
const (
	maxPattern  = 1 << 15
	patternStep = 16
)

// patternSize counts the instructions of a pattern.
func patternSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

type match struct {
	of   node
	re   *regexp.Regexp
	cost int // of two bytes of text
}

func (n *match) eval(m *machine) value {
	if of := n.of.eval(m); of.kind == kindString && m.spend(len(of.s)*n.cost/2) {
		return boolValue(n.re.MatchString(of.s))
	}
	return failed
}
