package http1

import (
	"bytes"

	"github.com/sluicegate/sluice/router"
)

// Limits bound what a peer may make us hold or wait for. A zero field takes its
// default.
type Limits struct {
	// HeadBytes bounds a message head, and separately its trailers: 60 KiB.
	HeadBytes int
	// Fields bounds the number of fields in a head: 100.
	Fields int
	// TargetBytes bounds a request target: 8 KiB; more is answered 414.
	TargetBytes int
}

// WithDefaults returns l with its zero fields filled in.
func (l Limits) WithDefaults() Limits {
	if l.HeadBytes == 0 {
		l.HeadBytes = 60 << 10
	}
	if l.Fields == 0 {
		l.Fields = 100
	}
	if l.TargetBytes == 0 {
		l.TargetBytes = 8 << 10
	}
	return l
}

// ProtocolError is a message that is refused. It is a value of the package's own, never
// made for a request, so that refusing costs nothing.
type ProtocolError struct {
	// Status is what a client is answered.
	Status int
	// Detail is the access log's %RESPONSE_CODE_DETAILS%.
	Detail string
}

func (e *ProtocolError) Error() string { return e.Detail }

func bad(detail string) *ProtocolError { return &ProtocolError{Status: 400, Detail: detail} }

var (
	errFieldName      = bad("http1.invalid_header_name")
	errFieldValue     = bad("http1.invalid_header_value")
	errFieldColon     = bad("http1.header_without_colon")
	errFolded         = bad("http1.folded_header")
	errLineEnd        = bad("http1.invalid_line_ending")
	errUnderscore     = bad("http1.header_name_with_underscore")
	errOptions        = bad("http1.too_many_connection_options")
	errTooManyFields  = &ProtocolError{Status: 431, Detail: "http1.too_many_headers"}
	errHeadTooLarge   = &ProtocolError{Status: 431, Detail: "http1.headers_too_large"}
	errLengthInvalid  = bad("http1.invalid_content_length")
	errLengthTwice    = bad("http1.several_content_lengths")
	errLengthAndTE    = bad("http1.content_length_and_transfer_encoding")
	errTransferCoding = &ProtocolError{Status: 501, Detail: "http1.unsupported_transfer_encoding"}
	errTEOldVersion   = bad("http1.transfer_encoding_in_http10")
)

// headEnd finds the end of a head: the index behind its empty line, or 0 if b does not
// hold one yet. from is where to begin; a line that ends without CR is an error at
// once, since such a head would never end.
func headEnd(b []byte, from int) (int, *ProtocolError) {
	i := from - 3
	if i < 0 {
		i = 0
	}
	if n := bytes.Index(b[i:], []byte("\r\n\r\n")); n >= 0 {
		return i + n + 4, nil
	}
	for j := i; ; {
		n := bytes.IndexByte(b[j:], '\n')
		if n < 0 {
			return 0, nil
		}
		if j += n; j == 0 || b[j-1] != '\r' {
			return 0, errLineEnd
		}
		j++
	}
}

// errPart says that a head goes on behind the bytes at hand. It is no answer to anybody.
var errPart = &ProtocolError{Detail: "the head goes on"}

// parseFields reads field lines from b[i:] up to and with the empty line, appends them
// to dst with names in lower case (changed in place), and returns the index behind. Where
// there is no empty line the error is errPart, or what is wrong so far.
func parseFields(b []byte, i int, dst []router.Header, limit int) ([]router.Header, int, *ProtocolError) {
	for i+1 < len(b) {
		if b[i] == '\r' {
			if b[i+1] != '\n' {
				return dst, i, errLineEnd
			}
			return dst, i + 2, nil
		}
		name := i
		for i < len(b) {
			c := tokenLower[b[i]]
			if c == 0 {
				break
			}
			b[i] = c
			i++
		}
		if i == len(b) {
			break
		}
		if b[i] != ':' || i == name {
			return dst, i, nameError(b, name, i)
		}
		nameEnd := i
		i++
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
		value := i
		i = valueEnd(b, i)
		if i+1 >= len(b) || b[i] != '\r' {
			return dst, i, valueError(b, i)
		}
		if b[i+1] != '\n' {
			return dst, i, errLineEnd
		}
		end := i
		for end > value && (b[end-1] == ' ' || b[end-1] == '\t') {
			end--
		}
		i += 2
		if len(dst) == limit {
			return dst, i, errTooManyFields
		}
		dst = append(dst, router.Header{Name: str(b[name:nameEnd]), Value: str(b[value:end])})
	}
	return dst, i, errPart
}

// nameError says what is wrong with the field line that begins at start and whose name
// ends, wrongly, at i.
func nameError(b []byte, start, i int) *ProtocolError {
	switch {
	case i == start && (b[i] == ' ' || b[i] == '\t'):
		return errFolded
	case b[i] == '\r' || b[i] == '\n':
		return errFieldColon
	default:
		return errFieldName
	}
}

func valueError(b []byte, i int) *ProtocolError {
	if i < len(b) && b[i] != '\n' && b[i] != '\r' {
		return errFieldValue
	}
	return errLineEnd
}

// parseLength reads a Content-Length (RFC 9110 section 8.6): digits alone, and nothing
// that does not fit 63 bits.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 19 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 || n > (1<<63-1-int64(d))/10 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}
