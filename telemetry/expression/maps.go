package expression

import (
	"strings"

	"github.com/sluicegate/sluice/router"
)

// headerSource says which headers a map is.
type headerSource uint8

const (
	noHeaders headerSource = iota
	requestHeaders
	responseHeaders
	responseTrailers
)

// pseudo are the headers of a request that its lines hold.
var pseudo = [...]string{":authority", ":method", ":path", ":scheme"}

// mapValue returns what a map holds for a key. Several headers of a name are one, joined by
// commas.
func mapValue(m *machine, of, key value) (value, bool) {
	if of.source == noHeaders {
		for i := 0; i < len(of.list); i += 2 {
			if equal(m, of.list[i], key).is(true) {
				return of.list[i+1], true
			}
		}
		return failed, false
	}
	if key.kind != kindString || m.ex == nil {
		return failed, false
	}
	s, found := m.header(of.source, key.s)
	return stringValue(s), found
}

// mapSize counts a map's keys.
func mapSize(m *machine, of value) (n int) {
	eachKey(m, of, func(value) bool { n++; return true })
	return n
}

// eachKey calls yield with each key of a map once, until it returns false.
func eachKey(m *machine, of value, yield func(value) bool) {
	if of.source == noHeaders {
		for i := 0; i < len(of.list); i += 2 {
			if !yield(of.list[i]) {
				return
			}
		}
		return
	}
	if m.ex == nil {
		return
	}
	if of.source == requestHeaders {
		for _, name := range pseudo {
			if m.pseudo(name) != "" && !yield(stringValue(name)) {
				return
			}
		}
	}
	fields := m.fields(of.source)
	for i := range fields {
		m.spend(i / 4) // for the look at those before
		if !named(fields[:i], fields[i].Name) && !yield(stringValue(fields[i].Name)) {
			return
		}
	}
}

func named(fields []router.Header, name string) bool {
	for i := range fields {
		if fields[i].Name == name {
			return true
		}
	}
	return false
}

// fields returns the headers that a map stands for, but for pseudo headers.
func (m *machine) fields(source headerSource) []router.Header {
	switch source {
	case requestHeaders:
		return m.ex.Request.Headers
	case responseHeaders:
		return m.ex.ResponseHeaders
	}
	return m.ex.ResponseTrailers
}

// pseudo returns what a pseudo header would say; empty where it is none.
func (m *machine) pseudo(name string) string {
	switch name {
	case ":authority":
		return m.ex.Request.Authority
	case ":method":
		return m.ex.Request.Method
	case ":path":
		return m.ex.Request.Path
	case ":scheme":
		return m.ex.Request.Scheme
	}
	return ""
}

// header returns the values of a header, joined by commas. Names are the same in any case.
func (m *machine) header(source headerSource, name string) (string, bool) {
	if source == requestHeaders {
		if s := m.pseudo(name); s != "" {
			return s, true
		}
		if m.ex.RequestID != "" && strings.EqualFold(name, "x-request-id") {
			return m.ex.RequestID, true
		}
	}
	var first string
	n, at := 0, len(m.text)
	fields := m.fields(source)
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, name) {
			continue
		}
		switch n++; n {
		case 1:
			first = fields[i].Value
			continue
		case 2:
			m.text = append(m.text, first...)
		}
		m.spend(len(fields[i].Value))
		m.text = append(m.text, ',')
		m.text = append(m.text, fields[i].Value...)
	}
	if n < 2 {
		return first, n == 1
	}
	return m.kept(at), true
}
