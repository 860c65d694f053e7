// Package jsonscan reads JSON in place, a field at a time and without keeping any of it: for
// texts that come by the hundred thousand from somebody who writes them right, an API server.
// What the fields are is its caller's to know.
package jsonscan

import "bytes"

// Scan reads a text. At is the place of the next byte. Nothing of a value that is passed over
// is checked but its brackets and quotes. Its methods return false at the end of the text, or
// where something else stands there than they look for.
type Scan struct {
	Text []byte
	At   int
}

// Space passes over white space and returns the byte after it, 0 at the end.
func (s *Scan) Space() byte {
	for s.At < len(s.Text) {
		switch c := s.Text[s.At]; c {
		case ' ', '\t', '\r', '\n':
			s.At++
		default:
			return c
		}
	}
	return 0
}

// Take passes over a byte that must come next.
func (s *Scan) Take(c byte) bool {
	if s.Space() != c || c == 0 {
		return false
	}
	s.At++
	return true
}

// Quoted passes over a string, and returns it as it is written, with its quotes.
func (s *Scan) Quoted() ([]byte, bool) {
	if s.Space() != '"' {
		return nil, false
	}
	end := endOfString(s.Text, s.At)
	if end < 0 {
		return nil, false
	}
	start := s.At
	s.At = end
	return s.Text[start:end], true
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

// Value passes over any value and returns its text.
func (s *Scan) Value() ([]byte, bool) {
	c := s.Space()
	start := s.At
	switch c {
	case 0, ',', ':', ']', '}':
		return nil, false
	case '"':
		return s.Quoted()
	case '{', '[':
		depth := 0
		for s.At < len(s.Text) {
			switch s.Text[s.At] {
			case '"':
				end := endOfString(s.Text, s.At)
				if end < 0 {
					return nil, false
				}
				s.At = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					s.At++
					return s.Text[start:s.At], true
				}
			}
			s.At++
		}
		return nil, false
	}
	for s.At < len(s.Text) {
		switch s.Text[s.At] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return s.Text[start:s.At], true
		}
		s.At++
	}
	return s.Text[start:s.At], true
}

// Object calls field with the name of each field of an object, as it is written but without
// its quotes. field must pass over the value, and returns false to end.
func (s *Scan) Object(field func(name []byte) bool) bool {
	if !s.Take('{') {
		return false
	}
	if s.Take('}') {
		return true
	}
	for {
		name, ok := s.Quoted()
		if !ok || !s.Take(':') || !field(name[1:len(name)-1]) {
			return false
		}
		if s.Take('}') {
			return true
		}
		if !s.Take(',') {
			return false
		}
	}
}

// List calls item for each item of a list. item must pass over it, and returns false to end.
func (s *Scan) List(item func() bool) bool {
	if !s.Take('[') {
		return false
	}
	if s.Take(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if s.Take(']') {
			return true
		}
		if !s.Take(',') {
			return false
		}
	}
}
