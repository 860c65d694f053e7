package accesslog

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/proxy"
)

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
		line, there, known := p.quick(dst, s, p.quoted)
		if !known {
			if !p.operator() {
				continue
			}
			if line, there = p.value(dst, s); there && !p.safe {
				line = escape(line, len(dst), p.quoted)
			}
		}
		if dst = line; !there && !f.omit {
			dst = append(dst, '-')
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
		if dst, ok = p.value(dst, s); !ok && !f.omit {
			dst = append(dst, '-')
		}
	}
	return dst
}
