package http2

import (
	"strings"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// str views bytes as a string without copying; it is valid while the bytes are.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fieldList is a decoded header block: pseudo-header fields and fields, in their order. It
// can be used again after reset; its strings live until then.
type fieldList struct {
	fields []router.Header
	// bytes holds the literal strings.
	bytes []byte
	// size is that of all fields as SETTINGS_MAX_HEADER_LIST_SIZE counts; count leaves
	// pseudo-header fields out.
	size, count int
	// tooLarge: a limit was passed; what came behind is not in fields. malformed: there is
	// a name or a value that no message may have.
	tooLarge, malformed bool
}

func (l *fieldList) reset() {
	*l = fieldList{fields: l.fields[:0], bytes: l.bytes[:0]}
}

// Write implements io.Writer, for strings that are being decoded.
func (l *fieldList) Write(p []byte) (int, error) {
	l.bytes = append(l.bytes, p...)
	return len(p), nil
}

// add adds a field, whose strings live long enough.
func (l *fieldList) add(name, value string, valid bool, limits *http1.Limits) {
	if l.tooLarge {
		return // What is not kept holds no memory, and a byte may stand for much of it.
	}
	l.size += len(name) + len(value) + entryOverhead
	if name == "" || name[0] != ':' {
		l.count++
	}
	if l.size > limits.HeadBytes || l.count > limits.Fields {
		l.tooLarge = true
		return
	}
	if !valid {
		l.malformed = true
	}
	l.fields = append(l.fields, router.Header{Name: name, Value: value})
}

// decoder decodes the header blocks that come on one connection, in order (RFC 7541). Every
// error is one of the connection: what follows could not be understood.
type decoder struct {
	limits *http1.Limits
	table  dynamicTable
	// allowed is the table size that the peer was told of.
	allowed int
}

func newDecoder(limits *http1.Limits) decoder {
	return decoder{limits: limits, table: dynamicTable{max: defaultTableSize}, allowed: defaultTableSize}
}

var (
	errHpackInteger = &connError{codeCompression, "an integer in a header block is cut or too large"}
	errHpackString  = &connError{codeCompression, "a string in a header block is cut or badly encoded"}
	errHpackIndex   = &connError{codeCompression, "a header block refers to a field that does not exist"}
	errHpackSize    = &connError{codeCompression, "a header block changes the table's size where, or to what, it must not"}
)

// decode decodes a whole block into l. Where l gets too large it goes on, for the table's
// sake, but keeps nothing more.
func (d *decoder) decode(block []byte, l *fieldList) *connError {
	updates, fields := 0, false
	for len(block) > 0 {
		var err *connError
		switch b := block[0]; {
		case b&0x80 != 0:
			fields = true
			block, err = d.indexed(block, l)
		case b&0xc0 == 0x40:
			fields = true
			block, err = d.literal(block, 6, true, l)
		case b&0xe0 == 0x20:
			// At most two, before the first field (RFC 7541 section 4.2).
			if updates++; fields || updates > 2 {
				return errHpackSize
			}
			block, err = d.resize(block)
		default:
			fields = true
			block, err = d.literal(block, 4, false, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookup returns the field of an index that is not 0.
func (d *decoder) lookup(i int) (name, value string, valid bool, err *connError) {
	if i < len(staticTable) {
		return staticTable[i].Name, staticTable[i].Value, true, nil
	}
	if i -= len(staticTable) - 1; i > d.table.n {
		return "", "", false, errHpackIndex
	}
	e := d.table.at(i)
	return e.name, e.value, e.valid, nil
}

func (d *decoder) indexed(b []byte, l *fieldList) ([]byte, *connError) {
	i, b, err := readInteger(b, 7)
	if err != nil {
		return nil, err
	}
	if i == 0 {
		return nil, errHpackIndex
	}
	name, value, valid, err := d.lookup(i)
	if err != nil {
		return nil, err
	}
	l.add(name, value, valid, d.limits)
	return b, nil
}

// literal reads a literal field (RFC 7541 section 6.2), whose name may be an index.
func (d *decoder) literal(b []byte, prefix uint, insert bool, l *fieldList) (rest []byte, err *connError) {
	i, b, err := readInteger(b, prefix)
	if err != nil {
		return nil, err
	}
	kept := len(l.bytes)
	name, valid := "", true
	if i == 0 {
		if name, b, err = readString(b, l); err != nil {
			return nil, err
		}
		valid = validName(name)
	} else if name, _, valid, err = d.lookup(i); err != nil {
		return nil, err
	} else if !valid {
		valid = validName(name) // Its value was at fault, maybe.
	}
	value, b, err := readString(b, l)
	if err != nil {
		return nil, err
	}
	valid = valid && http1.ValidValue(value)
	if insert {
		d.insert(name, value, valid, i)
	}
	l.add(name, value, valid, d.limits)
	if l.tooLarge {
		l.bytes = l.bytes[:kept]
	}
	return b, nil
}

// insert adds a field to the table, which needs strings of its own. index is the name's.
func (d *decoder) insert(name, value string, valid bool, index int) {
	if len(name)+len(value)+entryOverhead > d.table.max {
		d.table.evict(-1)
		return
	}
	if index == 0 {
		// Not name + value, which is name itself where value is empty.
		both := make([]byte, 0, len(name)+len(value))
		both = append(append(both, name...), value...)
		name, value = str(both[:len(name)]), str(both[len(name):])
	} else {
		value = strings.Clone(value)
	}
	d.table.add(tableEntry{name, value, valid})
}

func (d *decoder) resize(b []byte) ([]byte, *connError) {
	n, b, err := readInteger(b, 5)
	if err != nil {
		return nil, err
	}
	if n > d.allowed {
		return nil, errHpackSize
	}
	d.table.setMax(n)
	return b, nil
}

// readInteger reads an integer behind a prefix of so many bits (RFC 7541 section 5.1). None
// that means anything has more than 28 bits.
func readInteger(b []byte, prefix uint) (int, []byte, *connError) {
	limit := 1<<prefix - 1
	n := int(b[0]) & limit
	b = b[1:]
	if n < limit {
		return n, b, nil
	}
	for shift := uint(0); shift < 28; shift += 7 {
		if len(b) == 0 {
			return 0, nil, errHpackInteger
		}
		c := b[0]
		b = b[1:]
		n += int(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, nil
		}
	}
	return 0, nil, errHpackInteger
}

// readString reads a string (RFC 7541 section 5.2) into l.
func readString(b []byte, l *fieldList) (string, []byte, *connError) {
	if len(b) == 0 {
		return "", nil, errHpackString
	}
	huffman := b[0]&0x80 != 0
	n, b, err := readInteger(b, 7)
	if err != nil {
		return "", nil, err
	}
	if n > len(b) {
		return "", nil, errHpackString
	}
	at := len(l.bytes)
	if !huffman {
		l.bytes = append(l.bytes, b[:n]...)
	} else if _, err := hpack.HuffmanDecode(l, b[:n]); err != nil {
		return "", nil, errHpackString
	}
	return str(l.bytes[at:]), b[n:], nil
}

// validName tells whether a name is a token in lower case, or a pseudo-header field's
// (RFC 9113 section 8.2.1).
func validName(name string) bool {
	if len(name) > 1 && name[0] == ':' {
		name = name[1:]
	}
	return http1.ValidName(name)
}
