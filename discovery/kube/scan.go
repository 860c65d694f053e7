package kube

import (
	"bytes"
	"errors"
)

// errJSON is what is returned for text that is no JSON, or of a shape that no API server
// sends.
var errJSON = errors.New("the API server sent something that is no JSON object")

// scan reads JSON without keeping it: at is the place of the next byte. Nothing of a value
// that is passed over is checked but its brackets and quotes. Its methods return false at
// the end of the text, or where something else stands there than they look for.
type scan struct {
	text []byte
	at   int
}

// space passes over white space and returns the byte after it, 0 at the end.
func (s *scan) space() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take passes over a byte that must come next.
func (s *scan) take(c byte) bool {
	if s.space() != c || c == 0 {
		return false
	}
	s.at++
	return true
}

// quoted passes over a string, and returns it as it is written, with its quotes.
func (s *scan) quoted() ([]byte, bool) {
	if s.space() != '"' {
		return nil, false
	}
	end := endOfString(s.text, s.at)
	if end < 0 {
		return nil, false
	}
	start := s.at
	s.at = end
	return s.text[start:end], true
}

// endOfString returns the place after the string that begins at a quote; -1 where it has no
// end.
func endOfString(text []byte, at int) int {
	for i := at + 1; ; {
		quote := bytes.IndexByte(text[i:], '"')
		if quote < 0 {
			return -1
		}
		i += quote
		slashes := 0
		for i-1-slashes > at && text[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
}

// value passes over any value and returns its text.
func (s *scan) value() ([]byte, bool) {
	c := s.space()
	start := s.at
	switch c {
	case 0, ',', ':', ']', '}':
		return nil, false
	case '"':
		return s.quoted()
	case '{', '[':
		depth := 0
		for s.at < len(s.text) {
			switch s.text[s.at] {
			case '"':
				end := endOfString(s.text, s.at)
				if end < 0 {
					return nil, false
				}
				s.at = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					s.at++
					return s.text[start:s.at], true
				}
			}
			s.at++
		}
		return nil, false
	}
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return s.text[start:s.at], true
		}
		s.at++
	}
	return s.text[start:s.at], true
}

// object calls field with the name of each field of an object, as it is written but without
// its quotes. field must pass over the value.
func (s *scan) object(field func(name []byte) bool) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		name, ok := s.quoted()
		if !ok || !s.take(':') || !field(name[1:len(name)-1]) {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// list calls item for each item of a list. item must pass over it.
func (s *scan) list(item func() bool) bool {
	if !s.take('[') {
		return false
	}
	if s.take(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}
