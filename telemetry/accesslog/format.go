package accesslog

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/proxy"
)

// getter appends a value as it is; ok is false, and nothing appended, where there is none.
type getter func(dst []byte, s source) (value []byte, ok bool)

// piece is a part of a format: a literal, an operator, or in a Format an operator behind a
// literal.
type piece struct {
	literal string
	// text returns the value of an operator that has it at hand, "" for none; get appends that
	// of others. A piece without either is a literal.
	text func(s source) string
	get  getter
	// limit cuts the value to so many bytes; 0 for no limit.
	limit int
	// safe says that no value of the operator needs escaping, and number that they are JSON as
	// they are.
	safe, number bool
	// odd says that a safe one is to be escaped in JSON all the same: its argument may hold
	// anything.
	odd bool
	// dash says that JSON has "-" where there is no value, instead of null.
	dash bool
	// quoted says that the operator stands alone between two quotes: then it may hold spaces.
	quoted bool
}

// Format is a compiled format with Envoy's %COMMAND% operators. It does not change, and may be
// used from any goroutine.
type Format struct {
	pieces []piece
	empty  string // what stands for a missing value
	wanted wanted
}

// wanted are the headers and trailers of responses that a format asks for, in lower case.
type wanted struct {
	headers, trailers []string
}

func (w *wanted) add(o wanted) {
	for _, name := range o.headers {
		if !slices.Contains(w.headers, name) {
			w.headers = append(w.headers, name)
		}
	}
	for _, name := range o.trailers {
		if !slices.Contains(w.trailers, name) {
			w.trailers = append(w.trailers, name)
		}
	}
}

// maxFormat bounds the length of a format, in bytes.
const maxFormat = 64 << 10

// Compile compiles a format. A missing value is "-", or nothing where omitEmpty says so.
// Errors name the operator, and what would be right.
func Compile(text string, omitEmpty bool) (*Format, error) {
	f := &Format{empty: "-"}
	if omitEmpty {
		f.empty = ""
	}
	var err error
	f.pieces, f.wanted, err = parse(text)
	if err != nil {
		return nil, err
	}
	for i := range f.pieces {
		f.pieces[i].quoted = i > 0 && i+1 < len(f.pieces) && strings.HasSuffix(f.pieces[i-1].literal, `"`) && strings.HasPrefix(f.pieces[i+1].literal, `"`)
	}
	f.pieces = joined(f.pieces)
	return f, nil
}

// joined puts literals into the operators behind them.
func joined(pieces []piece) (fewer []piece) {
	literal := ""
	for _, p := range pieces {
		if !p.operator() {
			literal += p.literal
			continue
		}
		p.literal, literal = literal, ""
		fewer = append(fewer, p)
	}
	if literal != "" {
		fewer = append(fewer, piece{literal: literal})
	}
	return fewer
}

// operator says whether the piece is more than a literal.
func (p *piece) operator() bool { return p.text != nil || p.get != nil }

// Check returns what is wrong with a format, nil where nothing is.
func Check(text string) error {
	_, err := Compile(text, false)
	return err
}

// ResponseHeaders and ResponseTrailers return the names, in lower case, of those that the
// format asks for: they must be among Exchange.ResponseHeaders and ResponseTrailers.
func (f *Format) ResponseHeaders() []string { return f.wanted.headers }

// ResponseTrailers: see ResponseHeaders.
func (f *Format) ResponseTrailers() []string { return f.wanted.trailers }

// Append appends what the format comes to for an exchange, in visible ASCII: values that a
// client chooses can neither end a line nor a field of it.
func (f *Format) Append(dst []byte, ex *proxy.Exchange) []byte { return f.append(dst, ofExchange(ex)) }

// AppendPlain is Append with values as they are, for places where nothing they hold does harm.
func (f *Format) AppendPlain(dst []byte, ex *proxy.Exchange) []byte {
	return f.plain(dst, ofExchange(ex))
}

func (f *Format) append(dst []byte, s source) []byte {
	for i := range f.pieces {
		p := &f.pieces[i]
		dst = append(dst, p.literal...)
		if p.text != nil {
			if v := p.cut(p.text(s)); v == "" {
				dst = append(dst, f.empty...)
			} else if n := len(dst); verbatimText(v, p.quoted) {
				dst = append(dst, v...)
			} else {
				dst = escape(append(dst, v...), n, p.quoted)
			}
			continue
		}
		if p.get == nil {
			continue
		}
		at := len(dst)
		var ok bool
		if dst, ok = p.value(dst, s); !ok {
			dst = append(dst, f.empty...)
		} else if !p.safe {
			dst = escape(dst, at, p.quoted)
		}
	}
	return dst
}

func (f *Format) plain(dst []byte, s source) []byte {
	for i := range f.pieces {
		p := &f.pieces[i]
		dst = append(dst, p.literal...)
		if !p.operator() {
			continue
		}
		var ok bool
		if dst, ok = p.value(dst, s); !ok {
			dst = append(dst, f.empty...)
		}
	}
	return dst
}

// cut cuts a value to the piece's limit.
func (p *piece) cut(v string) string {
	if p.limit > 0 && len(v) > p.limit {
		return v[:p.limit]
	}
	return v
}

// value appends an operator's value, cut to its limit. An empty one is missing.
func (p *piece) value(dst []byte, s source) (value []byte, ok bool) {
	if p.text != nil {
		v := p.cut(p.text(s))
		return append(dst, v...), v != ""
	}
	at := len(dst)
	dst, ok = p.get(dst, s)
	if !ok || len(dst) == at {
		return dst[:at], false
	}
	if p.limit > 0 && len(dst)-at > p.limit {
		dst = dst[:at+p.limit]
	}
	return dst, true
}
