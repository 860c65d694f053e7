package expression

import "slices"

// maxDepth bounds how deep expressions may stand in each other.
const maxDepth = 100

// form says what a piece of a parsed expression is.
type form uint8

const (
	formLiteral  form = iota
	formIdent         // name
	formSelect        // args[0].name
	formOperator      // name is "&&", "-" and so on, "?" and "[]" among them
	formCall          // name(args...); of a method, args[0] is what it is called on
	formList
	formMap // args are keys and values in turn
)

// expr is a piece of a parsed expression.
type expr struct {
	pos    int
	form   form
	name   string
	method bool
	args   []*expr
	v      value
}

// parser builds the tree of an expression by recursive descent.
type parser struct {
	lexer
	token token
	depth int
}

// parse returns the tree of a text.
func parse(text string) (e *expr, err error) {
	p := &parser{lexer: lexer{text: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind == "end" {
		return nil, p.fail(0, "the expression is empty")
	}
	if e, err = p.expr(); err != nil {
		return nil, err
	}
	if p.token.kind != "end" {
		return nil, p.unexpected("an operator")
	}
	return e, nil
}

func (p *parser) advance() (err error) {
	p.token, err = p.next()
	return err
}

func (p *parser) unexpected(want string) error {
	if p.token.kind == "end" {
		return p.fail(p.token.pos, "the expression ends where %s is missing", want)
	}
	text := p.token.text
	return p.fail(p.token.pos, "%s where %s should be", text, want)
}

// take takes a token of that kind.
func (p *parser) take(kind string) error {
	if p.token.kind != kind {
		return p.unexpected(kind)
	}
	return p.advance()
}

// expr: or ["?" or ":" expr]
func (p *parser) expr() (*expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(p.token.pos, "expressions stand in each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	e, err := p.binary(0)
	if err != nil || p.token.kind != "?" {
		return e, err
	}
	c := &expr{pos: p.token.pos, form: formOperator, name: "?", args: []*expr{e}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	yes, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if err := p.take(":"); err != nil {
		return nil, err
	}
	no, err := p.expr()
	c.args = append(c.args, yes, no)
	return c, err
}

// levels are the operators between two sides, from the loosest; those of a level are taken from
// the left.
var levels = [...][]string{{"||"}, {"&&"}, {"<", "<=", ">", ">=", "==", "!=", "in"}, {"+", "-"}, {"*", "/", "%"}}

func (p *parser) binary(level int) (*expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for n := 0; err == nil; n++ {
		name := p.token.kind
		if p.token.kind == "ident" && p.token.text == "in" {
			name = "in"
		}
		if !slices.Contains(levels[level], name) {
			return left, nil
		}
		if n >= 10*maxDepth {
			return nil, p.fail(p.token.pos, "more than %d operators stand in a row", 10*maxDepth)
		}
		e := &expr{pos: p.token.pos, form: formOperator, name: name, args: []*expr{left, nil}}
		if err := p.advance(); err != nil {
			return nil, err
		}
		e.args[1], err = p.binary(level + 1)
		left = e
	}
	return nil, err
}

// unary: member, or any number of "!" or of "-" before one
func (p *parser) unary() (*expr, error) {
	sign := p.token
	if sign.kind != "!" && sign.kind != "-" {
		return p.member()
	}
	n := 0
	for p.token.kind == sign.kind {
		if n++; n > maxDepth {
			return nil, p.fail(p.token.pos, "more than %d of %s stand in a row", maxDepth, sign.kind)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if sign.kind == "-" && (p.token.kind == "int" || p.token.kind == "double") {
		// The sign belongs to the number: the least int has no positive one.
		n--
		p.token.text = "-" + p.token.text
	}
	e, err := p.member()
	for ; n > 0 && err == nil; n-- {
		e = &expr{pos: sign.pos, form: formOperator, name: sign.kind, args: []*expr{e}}
	}
	return e, err
}

// member: primary, and what is selected, called or indexed of it
func (p *parser) member() (*expr, error) {
	e, err := p.primary()
	for n := 0; err == nil; n++ {
		pos := p.token.pos
		switch p.token.kind {
		case ".":
			e, err = p.selected(e)
		case "[":
			if err := p.advance(); err != nil {
				return nil, err
			}
			index, err := p.expr()
			if err != nil {
				return nil, err
			}
			e = &expr{pos: pos, form: formOperator, name: "[]", args: []*expr{e, index}}
			if err := p.take("]"); err != nil {
				return nil, err
			}
		case "{":
			return nil, p.fail(pos, "messages of Protocol Buffers cannot be made here")
		default:
			return e, nil
		}
		if n >= maxDepth {
			return nil, p.fail(pos, "more than %d selections stand in a row", maxDepth)
		}
	}
	return nil, err
}

// selected reads ".name", or a call of it.
func (p *parser) selected(of *expr) (*expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	name := p.token
	if name.kind != "ident" || name.text == "in" || name.text == "true" || name.text == "false" || name.text == "null" {
		return nil, p.unexpected("a name")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind != "(" {
		return &expr{pos: name.pos, form: formSelect, name: name.text, args: []*expr{of}}, nil
	}
	args, err := p.list("(", ")")
	return &expr{pos: name.pos, form: formCall, name: name.text, method: true, args: append([]*expr{of}, args...)}, err
}

// list reads expressions between two brackets, separated by commas; one may end a list.
func (p *parser) list(open, end string) (args []*expr, err error) {
	if err := p.take(open); err != nil {
		return nil, err
	}
	if p.token.kind == "," && end == "]" {
		if err := p.advance(); err != nil {
			return nil, err
		}
		return nil, p.take(end)
	}
	for p.token.kind != end {
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		args = append(args, e)
		if p.token.kind != "," {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.token.kind == end && end == ")" {
			return nil, p.unexpected("an argument")
		}
	}
	return args, p.take(end)
}
