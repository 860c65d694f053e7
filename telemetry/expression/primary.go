package expression

import (
	"slices"
	"strings"
)

// reserved are words that are no names.
var reserved = strings.Fields("as break const continue else false for function if import in let loop package namespace null return true var void while")

func (p *parser) primary() (*expr, error) {
	t := p.token
	switch t.kind {
	case "int", "uint", "double":
		sign := ""
		if rest, ok := strings.CutPrefix(t.text, "-"); ok {
			sign, t.text = "-", rest
		}
		v, err := t.parseNumber(sign)
		if err != nil {
			return nil, p.fail(t.pos, "%s%s is out of the range of %s", sign, t.text, t.kind)
		}
		return &expr{pos: t.pos, v: v}, p.advance()
	case "string", "bytes":
		return &expr{pos: t.pos, v: t.v}, p.advance()
	case "(":
		if err := p.advance(); err != nil {
			return nil, err
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		return e, p.take(")")
	case "[":
		args, err := p.list("[", "]")
		return &expr{pos: t.pos, form: formList, args: args}, err
	case "{":
		return p.mapLiteral()
	case ".":
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.token.kind != "ident" {
			return nil, p.unexpected("a name")
		}
	case "ident":
	default:
		return nil, p.unexpected("a value")
	}
	return p.name()
}

// name reads a word: a literal, the name of something, or a call.
func (p *parser) name() (*expr, error) {
	t := p.token
	e := &expr{pos: t.pos, form: formIdent, name: t.text}
	switch t.text {
	case "true", "false":
		e.form, e.v = formLiteral, boolValue(t.text == "true")
	case "null":
		e.form, e.v = formLiteral, nullValue
	default:
		if slices.Contains(reserved, t.text) {
			return nil, p.fail(t.pos, "%s is a reserved word, not a name", t.text)
		}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if e.form == formIdent && p.token.kind == "(" {
		var err error
		e.form = formCall
		e.args, err = p.list("(", ")")
		return e, err
	}
	return e, nil
}

func (p *parser) mapLiteral() (*expr, error) {
	e := &expr{pos: p.token.pos, form: formMap}
	if err := p.take("{"); err != nil {
		return nil, err
	}
	if p.token.kind == "," {
		if err := p.advance(); err != nil {
			return nil, err
		}
		return e, p.take("}")
	}
	for p.token.kind != "}" {
		key, err := p.expr()
		if err != nil {
			return nil, err
		}
		if err := p.take(":"); err != nil {
			return nil, err
		}
		v, err := p.expr()
		if err != nil {
			return nil, err
		}
		e.args = append(e.args, key, v)
		if p.token.kind != "," {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return e, p.take("}")
}
