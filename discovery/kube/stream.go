package kube

import (
	"errors"
	"io"
)

// stream cuts the values out of JSON that arrives bit by bit, so that a list of 100,000
// objects is never in memory as a whole.
type stream struct {
	from io.Reader
	buf  []byte
	// pos is the place of the next byte in buf.
	pos int
}

const (
	// listBuffer and watchBuffer are the bytes that are read at a time, until an object needs more.
	// There are as many watches as Secrets, and all are held for good.
	listBuffer, watchBuffer = 64 << 10, 2 << 10
	// maxValue bounds one object. etcd takes none of more than 1.5 MB; lists' metadata and
	// answers to errors are small.
	maxValue = 16 << 20
)

// errJSON is what is returned for text that is no JSON, or of a shape that no API server
// sends.
var errJSON = errors.New("the API server sent something that is no JSON object")

var errTooLong = errors.New("the API server sent an object of more than 16 MiB")

func newStream(from io.Reader, buffer int) *stream {
	return &stream{from: from, buf: make([]byte, 0, buffer)}
}

// fill reads more behind what is there from the place keep on, and moves that to the front.
func (s *stream) fill(keep int) error {
	if keep > 0 {
		n := copy(s.buf, s.buf[keep:])
		s.buf = s.buf[:n]
		s.pos -= keep
	}
	if len(s.buf) == cap(s.buf) {
		if cap(s.buf) >= maxValue {
			return errTooLong
		}
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	for {
		n, err := s.from.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// next returns the next byte that is no white space, and passes over it.
func (s *stream) next() (byte, error) {
	for {
		for ; s.pos < len(s.buf); s.pos++ {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\r', '\n':
			default:
				s.pos++
				return c, nil
			}
		}
		if err := s.fill(s.pos); err != nil {
			return 0, err
		}
	}
}

// value returns the text of the next value, good until the next call.
func (s *stream) value() ([]byte, error) {
	c, err := s.next()
	if err != nil {
		return nil, err
	}
	start := s.pos - 1
	v := valueScanner{}
	switch c {
	case ',', ':', ']', '}':
		return nil, errJSON
	case '"':
		v.inString = true
	case '{', '[':
		v.depth = 1
	default:
		v.scalar = true
	}
	for {
		if n, done := v.scan(s.buf[s.pos:]); done {
			s.pos += n
			return s.buf[start:s.pos], nil
		}
		s.pos = len(s.buf)
		err := s.fill(start)
		start = 0
		switch {
		case errors.Is(err, io.EOF) && v.scalar:
			return s.buf[start:s.pos], nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

// valueScanner finds the end of a value that comes in pieces.
type valueScanner struct {
	depth                     int
	inString, escaped, scalar bool
}

// scan returns how many bytes of a piece still belong to the value, and whether it ends there.
func (v *valueScanner) scan(piece []byte) (int, bool) {
	for i := 0; i < len(piece); i++ {
		c := piece[i]
		if v.inString {
			switch {
			case v.escaped:
				v.escaped = false
			case c == '\\':
				v.escaped = true
			case c == '"':
				if v.inString = false; v.depth == 0 {
					return i + 1, true
				}
			}
			continue
		}
		switch c {
		case '"':
			v.inString = true
		case '{', '[':
			v.depth++
		case '}', ']':
			if v.scalar {
				return i, true
			}
			if v.depth--; v.depth == 0 {
				return i + 1, true
			}
		case ',', ' ', '\t', '\r', '\n':
			if v.scalar {
				return i, true
			}
		}
	}
	return 0, false
}

// readList calls item with each item of a list of the API, and returns the text of the list's
// metadata.
func readList(from io.Reader, item func(text []byte) error) (metadata []byte, err error) {
	s := newStream(from, listBuffer)
	if c, err := s.next(); err != nil || c != '{' {
		return nil, errors.Join(errJSON, err)
	}
	for {
		name, err := s.value()
		if err != nil {
			return nil, err
		}
		field := string(name)
		if c, err := s.next(); err != nil || c != ':' {
			return nil, errors.Join(errJSON, err)
		}
		if field == `"items"` {
			err = s.items(item)
		} else {
			var value []byte
			if value, err = s.value(); field == `"metadata"` {
				metadata = append([]byte(nil), value...)
			}
		}
		if err != nil {
			return nil, err
		}
		switch c, err := s.next(); {
		case err != nil:
			return nil, err
		case c == '}':
			return metadata, nil
		case c != ',':
			return nil, errJSON
		}
	}
}

// items calls item with each item of a list, or of null.
func (s *stream) items(item func(text []byte) error) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	s.pos--
	if c != '[' {
		_, err := s.value()
		return err
	}
	s.pos++
	for first := true; ; first = false {
		c, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case c == ']':
			return nil
		case first:
			s.pos--
		case c != ',':
			return errJSON
		}
		text, err := s.value()
		if err != nil {
			return err
		}
		if err := item(text); err != nil {
			return err
		}
	}
}
