package accesslog

import "encoding/binary"

// getter appends a value as it is; ok is false, and nothing appended, where there is none.
type getter func(dst []byte, s source) (value []byte, ok bool)

// piece is a part of a format: a literal, an operator, or in a Format an operator behind a
// literal. It is as long as a line of a processor's cache.
type piece struct {
	literal string
	// word is the literal where short says that it fits, the first byte lowest.
	word uint64
	// text returns the value of an operator that has it at hand, "" for none; count that of one
	// that is a number, none where it is negative; a fact stands for either. get appends that of
	// others, and of those that have none. A piece without any is a literal.
	text  func(s source) string
	count func(s source) int64
	get   getter
	// limit cuts the value to so many bytes; 0 for no limit.
	limit int
	fact  fact
	short bool
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
func (p *piece) operator() bool {
	return p.isText() || p.isCount() || p.get != nil
}

// quick appends an operator's value where that is at hand and needs no escaping, as nearly all;
// known is false, and nothing appended, where that cannot be told beforehand. It reads nothing of
// what it has written: that would have to wait until the line's memory has come to the processor.
func (p *piece) quick(dst []byte, s source, quoted bool) (line []byte, there, known bool) {
	switch {
	case p.isText():
		v := p.textOf(s)
		if v == "" {
			return dst, false, p.get == nil
		}
		line, known = appendVerbatim(dst, p.cut(v), quoted && !p.underscores)
		return line, true, known
	case p.isCount() && p.limit == 0:
		n := p.countOf(s)
		if n < 0 {
			return dst, false, p.get == nil
		}
		return appendNumber(dst, uint64(n)), true, true
	}
	return dst, false, false
}

// isText and isCount say how the value is found, textOf and countOf find it.
func (p *piece) isText() bool  { return p.fact.isText() || p.text != nil }
func (p *piece) isCount() bool { return p.fact.isNumber() || p.count != nil }

func (p *piece) textOf(s source) string {
	if p.fact != noFact {
		return s.text(p.fact)
	}
	return p.text(s)
}

func (p *piece) countOf(s source) int64 {
	if p.fact != noFact {
		return s.number(p.fact)
	}
	return p.count(s)
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
	if p.isText() {
		v := p.textOf(s)
		if dst, ok = append(dst, v...), v != ""; p.underscores {
			underscored(dst[at:])
		}
	}
	if p.isCount() {
		n := p.countOf(s)
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
