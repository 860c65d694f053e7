package expression

import (
	"sync"

	"github.com/sluicegate/sluice/proxy"
)

// Kind says what an expression is for.
type Kind uint8

const (
	// Condition comes to true or false.
	Condition Kind = iota
	// Text comes to a value that has a text: a string, a number, a truth value, a duration or
	// a moment.
	Text
)

// maxText bounds the length of an expression, in bytes.
const maxText = 16 << 10

// Program is a compiled expression. It does not change, and may be used from any goroutine.
type Program struct {
	text              string
	root              node
	literal           bool
	headers, trailers []string
	machines          sync.Pool
}

// Compile compiles an expression. Errors name the place in the text, and what would be right.
func Compile(text string, want Kind) (*Program, error) {
	c := &compiler{}
	root, t, err := c.compile(text, want)
	if err != nil {
		return nil, err
	}
	p := &Program{text: text, root: root, literal: t.kind == kindBool || t.kind == kindInt || t.kind == kindUint, headers: c.headers, trailers: c.trailers}
	p.machines.New = func() any { return new(machine) }
	return p, nil
}

// String returns the expression's text.
func (p *Program) String() string { return p.text }

// IsLiteral tells whether the text of every value is one that JSON has as it is: of a whole
// number, true or false.
func (p *Program) IsLiteral() bool { return p.literal }

// ResponseHeaders and ResponseTrailers return the names, in lower case, of those that the
// expression asks for, each once: they must be among Exchange.ResponseHeaders and
// ResponseTrailers when it is evaluated.
func (p *Program) ResponseHeaders() []string { return p.headers }

// ResponseTrailers: see ResponseHeaders.
func (p *Program) ResponseTrailers() []string { return p.trailers }

// Bool evaluates a Condition for an exchange that has ended. ok is false where it came to an
// error, such as an attribute that is missing; value is false then.
func (p *Program) Bool(ex *proxy.Exchange) (value, ok bool) {
	m := p.machine(ex, nil)
	v := m.run(p.root)
	p.done(m)
	return v.kind == kindBool && v.n != 0, v.kind == kindBool
}

// BoolStream is Bool for a connection, which has no attributes of requests and responses.
func (p *Program) BoolStream(st *proxy.Stream) (value, ok bool) {
	m := p.machine(nil, st)
	v := m.run(p.root)
	p.done(m)
	return v.kind == kindBool && v.n != 0, v.kind == kindBool
}

// AppendString appends the text of what the expression comes to for an exchange. ok is false,
// and nothing appended, where that is an error or null.
func (p *Program) AppendString(dst []byte, ex *proxy.Exchange) (text []byte, ok bool) {
	m := p.machine(ex, nil)
	dst, ok = appendText(dst, m.run(p.root))
	p.done(m)
	return dst, ok
}

// AppendStringStream is AppendString for a connection.
func (p *Program) AppendStringStream(dst []byte, st *proxy.Stream) (text []byte, ok bool) {
	m := p.machine(nil, st)
	dst, ok = appendText(dst, m.run(p.root))
	p.done(m)
	return dst, ok
}

// machine is the memory of one evaluation.
type machine struct {
	ex *proxy.Exchange // nil for a connection
	st *proxy.Stream   // nil for an exchange
	// connection is the client's, nil where that is not known.
	connection *proxy.Connection
	// text holds strings that were made, list the elements of lists and maps, vars the
	// variables of macros, the innermost last.
	text []byte
	list []value
	vars []value
	// work is what the evaluation has taken so far.
	work int
}

// What is kept of a machine between evaluations.
const (
	keptText = 16 << 10
	keptList = 1 << 10
)

// maxWork bounds what one evaluation may take: a byte that is copied, or two that a pattern looks
// at, count as one, and so does each comparison. Expressions without macros come nowhere near;
// with them, a short text can ask for more than there is of memory and time.
const (
	maxWork     = 1 << 20
	bodyWork    = 100 // of a macro's body, each time that it runs
	elementWork = 16  // of each element of a list that is made
)

// run evaluates a program. What took too much comes to an error, whatever it seems to come to.
func (m *machine) run(root node) value {
	if v := root.eval(m); m.work <= maxWork {
		return v
	}
	return failed
}

// spend counts work, and tells whether there may be any more.
func (m *machine) spend(n int) bool {
	if m == nil { // as the program is compiled
		return true
	}
	m.work += min(n, maxWork+1)
	return m.work <= maxWork
}

func (p *Program) machine(ex *proxy.Exchange, st *proxy.Stream) *machine {
	m := p.machines.Get().(*machine)
	m.ex, m.st = ex, st
	if ex != nil {
		m.connection = ex.Connection
	} else {
		m.connection = st.Connection
	}
	return m
}

// done takes a machine back, once nothing of its memory is used any more.
func (p *Program) done(m *machine) {
	if cap(m.text) > keptText || cap(m.list) > keptList {
		return
	}
	clear(m.list)
	clear(m.vars)
	*m = machine{text: m.text[:0], list: m.list[:0], vars: m.vars[:0]}
	p.machines.Put(m)
}
