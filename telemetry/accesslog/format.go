package accesslog

import (
	"encoding/binary"
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
	// word is the literal where short says that it fits, the first byte lowest.
	word  uint64
	short bool
	// text returns the value of an operator that has it at hand, "" for none; count that of one
	// that is a number, none where it is negative; get appends that of others, and of those whose
	// text is empty. A piece without any is a literal.
	text  func(s source) string
	count func(s source) int64
	get   getter
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
	// underscores says that spaces in the text become such.
	underscores bool
}

// Format is a compiled format with Envoy's %COMMAND% operators. It does not change, and may be
// used from any goroutine.
type Format struct {
	pieces []piece
	omit   bool // whether nothing stands for a missing value, else "-"
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
	f := &Format{omit: omitEmpty}
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
		fewer = append(fewer, p.behind(literal))
		literal = ""
	}
	if literal != "" {
		fewer = append(fewer, piece{literal: literal})
	}
	return fewer
}

// behind returns the operator with a literal in front of it.
func (p piece) behind(literal string) piece {
	p.literal = literal
	if p.short = len(literal) <= wordSize; p.short {
		var word [wordSize]byte
		copy(word[:], literal)
		p.word = binary.LittleEndian.Uint64(word[:])
	}
	return p
}

// operator says whether the piece is more than a literal.
func (p *piece) operator() bool { return p.text != nil || p.count != nil || p.get != nil }

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
		if n := len(dst); p.short && cap(dst)-n >= wordSize {
			binary.LittleEndian.PutUint64(dst[n:n+wordSize], p.word)
			dst = dst[:n+len(p.literal)]
		} else {
			dst = append(dst, p.literal...)
		}
		if line, ok := p.quick(dst, s, p.quoted); ok {
			dst = line
			continue
		}
		if !p.operator() {
			continue
		}
		at := len(dst)
		var there bool
		switch dst, there = p.value(dst, s); {
		case there && !p.safe:
			dst = escape(dst, at, p.quoted)
		case !there && !f.omit:
			dst = append(dst, '-')
		}
	}
	return dst
}

// quick appends an operator's value where that is there and needs no escaping, as nearly all; ok
// is false, and nothing appended, where that is not known beforehand. It reads nothing of what
// it has written: that would have to wait until the line's memory has come to the processor.
func (p *piece) quick(dst []byte, s source, quoted bool) (line []byte, ok bool) {
	switch {
	case p.text != nil:
		if v := p.cut(p.text(s)); v != "" {
			return appendVerbatim(dst, v, quoted && !p.underscores)
		}
	case p.count != nil && p.limit == 0:
		if n := p.count(s); n >= 0 {
			return appendNumber(dst, uint64(n)), true
		}
	}
	return dst, false
}

func (f *Format) plain(dst []byte, s source) []byte {
	for i := range f.pieces {
		p := &f.pieces[i]
		dst = append(dst, p.literal...)
		if !p.operator() {
			continue
		}
		var ok bool
		if dst, ok = p.value(dst, s); !ok && !f.omit {
			dst = append(dst, '-')
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
	at := len(dst)
	if p.text != nil {
		v := p.text(s)
		if dst, ok = append(dst, v...), v != ""; p.underscores {
			underscored(dst[at:])
		}
	}
	if p.count != nil {
		n := p.count(s)
		if ok = n >= 0; ok {
			dst = appendNumber(dst, uint64(n))
		}
	}
	if !ok && p.get != nil {
		dst, ok = p.get(dst, s)
	}
	if !ok || len(dst) == at {
		return dst[:at], false
	}
	if p.limit > 0 && len(dst)-at > p.limit {
		dst = dst[:at+p.limit]
	}
	return dst, true
}

// underscored makes underscores of spaces.
func underscored(v []byte) {
	for i, c := range v {
		if c == ' ' || c >= '\t' && c <= '\r' {
			v[i] = '_'
		}
	}
}
